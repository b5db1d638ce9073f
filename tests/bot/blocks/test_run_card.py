"""What a run's card says of a vendor's answers, of trouble with it, and what can be clicked in each state."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks import checkpoints, loss_curve, run_card
from bot.sandbox.block_kit import problems_of_blocks
from workers.plans.choices import Choices
from workers.run_status import RunStatus
from workers.tables import Endpoint, EndpointStatus, Run, RunCheckpoint, RunMetric

TEXT = st.text(
    alphabet=st.sampled_from(list("<!@#>|&*_~`\n ")) | st.characters(exclude_categories=["Cs"]), max_size=900
)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.none()


def run(status=RunStatus.TRAINING, *, progress=None, **more):
    return Run(**{
        "id": 7, "team_id": "T1", "creator_id": "U1", "name": "r", "request_key": "r", "dataset_id": 1,
        "provider": "openai", "base_model": "m", "method": "sft", "plan": Choices(dataset_id=1).to_json(),
        "status": status, "progress": progress or {}, "provider_job_id": "job", **more,
    })  # fmt: skip


def shown(row):
    drawn = run_card.draw(row)
    assert problems_of_blocks(drawn.blocks) == []
    assert drawn.text.strip()
    text = json.dumps(drawn.blocks, ensure_ascii=False)
    assert "<!" not in text
    assert "<#" not in text
    return text


def clicks(row):
    return [one["action_id"] for block in run_card.draw(row).blocks if block["type"] == "actions"
            for one in block["elements"]]  # fmt: skip


@given(words=TEXT, stage=TEXT, loss=NUMBER, eta=st.floats(0, 1e9) | st.none(), step=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("kind", ["refused", "limited", "away", "rejected", "broken", "something new"])
def test_whatever_a_vendor_says_the_card_can_be_drawn(kind, words, stage, loss, eta, step):
    trouble = {"kind": kind, "since": 1e9, "until": 2e9, "words": words, "error_id": words, "told": True}
    progress = {
        "trouble": trouble, "stage": stage, "unknown_status": words, "loss": loss, "validation_loss": loss,
        "eta_seconds": eta, "step": step, "trained_tokens": step, "epoch": loss,
    }  # fmt: skip
    for status in RunStatus:
        shown(run(status, progress=progress, tuned_model=words))


def test_steps_are_told_as_far_as_they_are_known():
    assert "step 40 · epoch 1.2 of 3" in shown(run(progress={"step": 40, "epoch": 1.2, "total_epochs": 3}))
    assert "step 40 of 80" in shown(run(progress={"step": 40, "total_steps": 80}))
    assert "step" not in shown(run(progress={"step": 0, "stage": "validating files"}))
    assert "_validating files_" in shown(run(progress={"stage": "validating files"}))
    assert "12,345 tokens trained" in shown(run(progress={"trained_tokens": 12345}))
    assert "validation loss 0.250" in shown(run(progress={"step": 1, "validation_loss": 0.25}))
    assert "learning by heart" not in shown(run(progress={"step": 1, "validation_loss": 0.25, "loss": 0.2}))
    told = shown(
        run(progress={"step": 1, "validation_loss": 0.6, "loss": 0.2, "learning_rate": 5e-4, "memory_bytes": 2e9})
    )
    assert "validation loss 0.600 (3.0 × the training's: it may be learning by heart)" in told
    assert "learning rate 5.0e-04 · 2.0 GB" in told


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        (RunStatus.TRAINING, {}, ["run_pause", "run_cancel"]),
        (RunStatus.TRAINING, {"provider": "azure_ml"}, ["run_cancel"]),
        (RunStatus.TRAINING, {"provider": "local"}, ["run_pause", "run_cancel"]),
        (RunStatus.TRAINING, {"pause_requested": True}, ["run_resume", "run_cancel"]),
        (RunStatus.PAUSED, {"pause_requested": True}, ["run_resume", "run_cancel"]),
        (RunStatus.CANCELLING, {}, []),
        (RunStatus.READY, {}, ["run_job_file", "run_model_card"]),
        (
            RunStatus.READY,
            {"tuned_model": "ft:x", "progress": {"checkpoints": 2}},
            ["run_checkpoints", "run_job_file", "run_model_card", "run_more"],
        ),
        (
            RunStatus.READY,
            {"tuned_model": "ft:x", "progress": {"deleting_model": True}},
            ["run_job_file", "run_model_card"],
        ),
        (RunStatus.CANCELLED, {"tuned_model": "ft:x"}, ["run_job_file", "run_more"]),
    ],
)
def test_what_can_be_clicked(status, more, expected):
    assert clicks(run(status, **more)) == expected


def test_trouble_says_what_to_do_and_is_over_with_the_run():
    trouble = {"kind": "refused", "since": time.time(), "until": 0, "words": "The key was refused."}
    text = shown(run(progress={"trouble": trouble}))
    assert "OpenAI refuses the credentials since" in text
    assert "an admin must renew them (`/finetune keys`)" in text
    assert "the training goes on there" in text
    waiting = run(RunStatus.SUBMITTING, progress={"trouble": trouble}, provider_job_id="")
    assert "the training goes on there" not in shown(waiting)
    assert "refuses" not in shown(run(RunStatus.FAILED, progress={"trouble": trouble}))


def test_a_time_of_another_day_is_told_with_its_date():
    trouble = {"kind": "away", "since": 1_700_000_000.0, "until": 0, "words": ""}
    assert "does not answer since 14 Nov, 22:13 UTC" in shown(run(progress={"trouble": trouble}))


@given(model=TEXT, loss=NUMBER)
@settings(max_examples=25, deadline=None)
def test_checkpoints(model, loss):
    rows = [RunCheckpoint(run_id=7, step=step, model=model, loss=loss, accuracy=loss) for step in range(60)]
    for count in (0, 1, 60):
        drawn = checkpoints.draw(run(RunStatus.READY, name=model or "x"), rows[:count])
        assert problems_of_blocks(drawn.blocks) == []
        assert drawn.text.strip()


@pytest.mark.parametrize("count", [0, 1, 5, 200])
def test_the_curve_of_few_or_only_validation_points(count):
    metrics = [RunMetric(run_id=7, step=one, validation_loss=1 / (one + 1)) for one in range(count)]
    metrics += [RunMetric(run_id=7, step=one, loss=1 / (one + 1)) for one in range(count // 2)]
    assert loss_curve.png("a $name$", metrics).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (EndpointStatus.ACTIVE, "Reply in this thread to chat with it."),
        (EndpointStatus.ASLEEP, "It is asleep: deploy it again"),
        (EndpointStatus.DELETED, "Nobody answers in this thread any more."),
    ],
)
def test_a_reply_is_asked_for_only_where_somebody_answers(status, words):
    endpoint = Endpoint(team_id="T1", name="r", run_id=7, provider="openai", model="m", status=status)
    said = json.dumps(run_card.draw(run(RunStatus.READY), endpoint=endpoint).blocks, ensure_ascii=False)
    assert words in said
    assert ("Reply in this thread" in said) is (status is EndpointStatus.ACTIVE)
    gone = run(RunStatus.READY, progress={"model_deleted": True})
    assert "Reply in this thread" not in json.dumps(run_card.draw(gone, endpoint=endpoint).blocks)


@pytest.mark.parametrize(
    ("status", "provider", "words"),
    [
        (RunStatus.TRAINING, "local", "Training ends within seconds. Its data and figures stay."),
        (RunStatus.EVALUATING, "local", "The comparison ends, and the model is not kept for chat."),
        (RunStatus.QUEUED, "openai", "OpenAI has not been asked for anything yet, so nothing is billed."),
        (RunStatus.TRAINING, "openai", "OpenAI is asked to stop; what it has trained so far may be billed."),
        (RunStatus.SUBMIT_UNKNOWN, "azure_openai", "Azure OpenAI is asked to stop; what it has trained so far may be"),
        (RunStatus.DEPLOYING, "azure_openai", "Azure OpenAI has trained it, which is billed."),
        (RunStatus.EVALUATING, "azure_ml", "what is deployed for it is deleted. The tuned model stays there until"),
    ],
)
def test_the_question_before_a_cancel_says_what_becomes_of_it(status, provider, words):
    cancel = run_card.draw(run(status, provider=provider)).blocks[-1]["elements"][-1]
    assert cancel["action_id"] == "run_cancel"
    assert words in cancel["confirm"]["text"]["text"]
    assert cancel["confirm"]["text"]["text"].endswith(".")  # not cut


def test_the_model_of_a_short_run_is_not_said_to_stay():
    plan = {**Choices(dataset_id=1).to_json(), "part": {"number": 0, "of": 3, "run": 1}}
    cancel = run_card.draw(run(RunStatus.DEPLOYING, plan=plan)).blocks[-1]["elements"][-1]
    assert cancel["confirm"]["text"]["text"].endswith("The tuned model is deleted there too.")


def test_the_footer_has_the_plans_total_until_it_is_known_what_it_cost():
    cost = {"total": 7.5, "price": "$5.00 to train"}
    model = "azureml://registries/azureml-meta/models/Llama-3/versions/2"
    assert "Llama-3 · planned for about $7.50 in all" in shown(run(cost=cost, base_model=model))
    actual = {"training_dollars": 5.0, "hosting_dollars": 0.0, "evaluation_dollars": 0.0, "total": 5.0}
    text = shown(run(RunStatus.READY, cost=cost, actual=actual))
    assert "cost $5.00, without chat: training $5.00" in text
    assert "planned" not in text
