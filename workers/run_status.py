"""A run's states, the legal transitions between them, and the one function that checks a move.

DRAFT -> AWAITING_APPROVAL -> QUEUED -> PREPARING -> SUBMITTING -> TRAINING <-> PAUSED
                                              |           |
                                              |           +-> SUBMIT_UNKNOWN -> TRAINING (adopted)
TRAINING -> DEPLOYING -> EVALUATING -> READY          (EVALUATING at once where nothing must be hosted)
any living state -> FAILED, or CANCELLING -> CANCELLED
"""

from enum import StrEnum

from workers.errors import IllegalTransition


class RunStatus(StrEnum):
    """Where a run is in its life."""

    DRAFT = "draft"  # being filled in
    AWAITING_APPROVAL = "awaiting_approval"  # over the threshold: another person must agree
    QUEUED = "queued"  # confirmed, waiting for a worker
    PREPARING = "preparing"  # writing the training files
    SUBMITTING = "submitting"  # the create call may be under way
    SUBMIT_UNKNOWN = "submit_unknown"  # its answer never came: being looked up, never sent again
    TRAINING = "training"  # the provider is at work
    PAUSED = "paused"  # stopped on request, can go on
    DEPLOYING = "deploying"  # the tuned model is being hosted
    EVALUATING = "evaluating"  # base and tuned model answer the held-out examples
    READY = "ready"  # done: it can be chatted with
    FAILED = "failed"  # ended without a usable model
    CANCELLING = "cancelling"  # asked to end, not yet ended
    CANCELLED = "cancelled"  # ended on request

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to the run any more."""
        return self in FINAL


FINAL = frozenset({RunStatus.READY, RunStatus.FAILED, RunStatus.CANCELLED})

_ENDS = frozenset({RunStatus.FAILED, RunStatus.CANCELLING})

TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.DRAFT: _ENDS | {RunStatus.AWAITING_APPROVAL, RunStatus.QUEUED},
    RunStatus.AWAITING_APPROVAL: _ENDS | {RunStatus.QUEUED},
    RunStatus.QUEUED: _ENDS | {RunStatus.PREPARING},
    RunStatus.PREPARING: _ENDS | {RunStatus.SUBMITTING, RunStatus.QUEUED},
    RunStatus.SUBMITTING: _ENDS | {RunStatus.TRAINING, RunStatus.SUBMIT_UNKNOWN, RunStatus.QUEUED},
    RunStatus.SUBMIT_UNKNOWN: _ENDS | {RunStatus.TRAINING},
    RunStatus.TRAINING: _ENDS | {RunStatus.PAUSED, RunStatus.DEPLOYING, RunStatus.EVALUATING, RunStatus.QUEUED},
    RunStatus.PAUSED: _ENDS | {RunStatus.QUEUED, RunStatus.TRAINING},
    RunStatus.DEPLOYING: _ENDS | {RunStatus.EVALUATING},
    RunStatus.EVALUATING: _ENDS | {RunStatus.READY},
    RunStatus.CANCELLING: frozenset({RunStatus.CANCELLED, RunStatus.FAILED}),
    RunStatus.READY: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


def check_transition(current: RunStatus, new: RunStatus) -> None:
    """Raise IllegalTransition unless a run in `current` may go to `new`."""
    if new not in TRANSITIONS[current]:
        raise IllegalTransition(f"a run that is {current} cannot become {new}")
