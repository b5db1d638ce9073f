"""Which moves a run may make."""

import pytest

from workers.errors import IllegalTransition
from workers.run_status import FINAL, TRANSITIONS, RunStatus, check_transition


def reachable(start, without=frozenset()):
    seen, open_ends = {start}, [start]
    while open_ends:
        for status in TRANSITIONS[open_ends.pop()] - seen - without:
            seen.add(status)
            open_ends.append(status)
    return seen


def test_every_state_has_its_moves_and_ends_have_none():
    assert set(TRANSITIONS) == set(RunStatus)
    assert {status for status in RunStatus if not TRANSITIONS[status]} == FINAL
    assert {status for status in RunStatus if status.is_final} == FINAL


def test_every_state_can_be_reached():
    assert reachable(RunStatus.DRAFT) == set(RunStatus)


@pytest.mark.parametrize("status", sorted(set(RunStatus) - FINAL))
def test_whatever_lives_can_fail_and_be_cancelled(status):
    assert RunStatus.FAILED in TRANSITIONS[status]
    assert RunStatus.CANCELLED in reachable(status)


def test_only_an_evaluated_run_is_ready():
    assert {status for status in RunStatus if RunStatus.READY in TRANSITIONS[status]} == {RunStatus.EVALUATING}
    assert RunStatus.READY not in reachable(RunStatus.CANCELLING)


def test_a_doubtful_submission_is_never_sent_again():
    assert not TRANSITIONS[RunStatus.SUBMIT_UNKNOWN] & {RunStatus.SUBMITTING, RunStatus.QUEUED, RunStatus.PREPARING}


def test_nobody_trains_without_having_been_queued():
    assert RunStatus.TRAINING not in reachable(RunStatus.DRAFT, without=frozenset({RunStatus.QUEUED}))


@pytest.mark.parametrize("current", list(RunStatus))
@pytest.mark.parametrize("new", list(RunStatus))
def test_exactly_the_listed_moves_are_allowed(current, new):
    if new in TRANSITIONS[current]:
        check_transition(current, new)
    else:
        with pytest.raises(IllegalTransition, match=f"{current} cannot become {new}"):
            check_transition(current, new)
