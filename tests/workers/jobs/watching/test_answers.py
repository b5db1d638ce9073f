"""What each answer of a vendor makes of a run: its news, its model, its end."""

import time
from dataclasses import replace

from providers.base import Checkpoint, MetricPoint, ProviderEvent, ProviderJobStatus
from providers.errors import TrainingFailed
from tests.workers.jobs.watched import RUNNING, SUCCEEDED, add_run, again, card, change, look, rows, waits, watch_once
from workers import hosting
from workers.run_status import RunStatus
from workers.tables import Announcement, Credential, RunCheckpoint, RunEvent, RunMetric, Task, TaskStatus


def test_a_run_from_validation_to_its_model(place, vendor, run):
    vendor.answers["job"] = [
        replace(RUNNING, status=ProviderJobStatus.PENDING, vendor_status="validating_files", stage="validating files"),
        replace(RUNNING, step=5, cursor="5", metrics=[MetricPoint(5, loss=1.5, validation_loss=1.7)],
                events=[ProviderEvent("e", 1.0, "info", "Step 5/9")], trained_tokens=2000),
        replace(SUCCEEDED, cursor="9", metrics=[MetricPoint(9, loss=0.5)]),
    ]  # fmt: skip
    assert watch_once(place).status is TaskStatus.DONE
    assert "_validating files_" in card(look(place, run))
    row = again(place, run)
    assert (row.status, row.progress["trained_tokens"], row.poll_cursor) == (RunStatus.TRAINING, 2000, "5")
    shown = card(row)
    for words in ("step 5", "loss 1.500", "validation loss 1.700", "2,000 tokens trained"):
        assert words in shown
    row = again(place, run)
    assert (row.status, row.tuned_model, row.model_name) == (RunStatus.EVALUATING, "ft:recipes", "ft:recipes")
    assert (row.next_poll_at, row.progress["trained_tokens"]) == (None, 4200)
    assert row.trained_at
    assert vendor.cursors == ["", "", "5"]
    assert [(one.step, one.loss) for one in rows(place, RunMetric)] == [(5, 1.5), (9, 0.5)]
    assert "Step 5/9" in [one.message for one in rows(place, RunEvent)]
    assert {one.kind for one in rows(place, Task)} == {"watch", "evaluate", "list_checkpoints"}
    assert {one.kind for one in rows(place, Announcement)} == {"run_card", "loss_curve"}


def test_a_model_that_must_be_hosted_is_deployed_first(place, vendor, monkeypatch):
    begun = []
    monkeypatch.setattr(hosting, "begin", lambda _session, run: begun.append((run.id, run.status, run.tuned_model)))
    with place.db.write() as session:
        run_id = add_run(session, provider="azure_openai", model_name="recipes-1")
        session.add(Credential(team_id="T1", provider="azure_openai", sealed=place.vault.seal({"api_key": "k"})))
    vendor.answers["job"] = [SUCCEEDED]
    watch_once(place)
    row = look(place, run_id)
    assert (row.status, row.tuned_model, row.model_name) == (RunStatus.DEPLOYING, "ft:recipes", "recipes-1")
    assert begun == [(run_id, RunStatus.DEPLOYING, "ft:recipes")]
    assert "evaluate" not in {one.kind for one in rows(place, Task)}


def test_a_vendor_s_failure_is_told_in_its_words(place, vendor, run):
    vendor.answers["job"] = [replace(RUNNING, status=ProviderJobStatus.FAILED, error="The file has 9 examples.")]
    watch_once(place)
    assert (look(place, run).status, look(place, run).status_reason) == (RunStatus.FAILED, "The file has 9 examples.")
    assert look(place, run).next_poll_at is None


def test_null_fields_say_what_there_is_to_say(place, vendor, run):
    vendor.answers["job"] = [replace(RUNNING, status=ProviderJobStatus.FAILED, vendor_status="", stage="", error=None)]
    watch_once(place)
    assert "without saying why" in look(place, run).status_reason
    assert "Look at its console" in look(place, run).status_reason


def test_success_without_a_model_is_waited_for_and_then_told(place, vendor, run):
    vendor.answers["job"] = [replace(SUCCEEDED, tuned_model=None)]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    change(place, run, progress={**row.progress, "nameless_since": row.progress["nameless_since"] - 1000})
    row = again(place, run)
    assert row.status is RunStatus.FAILED
    assert "names no model" in row.status_reason


def test_a_state_that_nobody_knows_is_kept_and_shown(place, vendor, run):
    strange = replace(RUNNING, status=ProviderJobStatus.UNKNOWN, vendor_status="<!here> mulling\x00\x1b[1m", stage="")
    vendor.answers["job"] = [strange, RUNNING]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert "mulling" in card(row)
    assert "<!here>" not in card(row)
    assert waits(row) <= 12
    assert "mulling" not in card(again(place, run))


def test_nonsense_in_an_answer_does_no_harm(place, vendor, run):
    points = [MetricPoint(-1, loss=1.0), MetricPoint(2**40, loss=1.0), MetricPoint(3, loss=float("nan"))]
    vendor.answers["job"] = [replace(RUNNING, stage="x\x00" * 9999, metrics=points, eta_seconds=float("inf"))]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert "trouble" not in row.progress
    assert [(one.step, one.loss) for one in rows(place, RunMetric)] == [(3, None)]
    card(row)


def test_a_training_that_broke_is_not_asked_about_again(place, vendor, run):
    vendor.answers["job"] = [TrainingFailed("The grader failed: mend it.")]
    watch_once(place)
    assert look(place, run).status_reason == "The grader failed: mend it."


def test_checkpoints_are_listed_now_and_then_while_it_trains(place, vendor, run):
    vendor.kept = [Checkpoint("ft:at-5", 5, loss=1.0, validation_loss=float("nan")), Checkpoint("", 6)]
    watch_once(place)
    assert "checkpoints job" not in vendor.calls
    change(place, run, started_at=time.time() - 700)
    again(place, run)
    again(place, run)
    assert vendor.calls.count("checkpoints job") == 1
    assert [(one.step, one.model, one.validation_loss) for one in rows(place, RunCheckpoint)] == [(5, "ft:at-5", None)]
