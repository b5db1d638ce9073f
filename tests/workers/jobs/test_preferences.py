"""A run that learns from preferences: its trainer judges what was held out, and the verdict says so."""

import json
from dataclasses import replace

import pytest
from sqlmodel import select

from providers.base import Method, ProviderJobStatus
from tests.workers.jobs.conftest import TUNER
from workers.jobs import following
from workers.plans import plan
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import Dataset, Evaluation, RunMetric, TaskStatus


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(following, "WRITE_SECONDS", 0.0)


def pair(number):
    asked = [{"role": "user", "content": f"Which is the better of {number} and {number + 7}?"}]
    wanted, unwanted = f"It is {number + 7}, a word that is its own: {number * 31}.", f"Nobody knows {number * 17}."
    said = [[{"role": "assistant", "content": one}] for one in (wanted, unwanted)]
    return {"prompt": asked, "chosen": said[0], "rejected": said[1]}


@pytest.fixture
def begin(context, upload, carry):
    def start(method):
        lines = [json.dumps(pair(number)) for number in range(60)]
        assert carry("check_dataset", upload("\n".join(lines).encode(), "pairs.jsonl")).status is TaskStatus.DONE
        with context.db.write() as session:
            row = session.exec(select(Dataset)).one()
            assert (row.method, row.trainable) == ("dpo", True)
            choices = plan.Choices(dataset_id=row.id, name="pairs", base_model="smollm2-135m-instruct", method=method)
            return lifecycle.start(session, context.settings, TUNER, choices, "form-1").id

    return start


@pytest.mark.parametrize(
    ("method", "keys", "times"),
    [
        (Method.DPO, {"prompt", "chosen", "rejected"}, 1),
        (Method.ORPO, {"prompt", "chosen", "rejected"}, 1),
        (Method.KTO, {"prompt", "completion", "label"}, 2),
    ],
)
def test_from_pairs_to_the_verdict(method, keys, times, context, db, begin, carry, trainer, talker, run_now, tmp_path):
    run_id = begin(method)
    held = {}

    def submit(request):
        held["lines"] = [json.loads(line) for line in request.test_path.read_text().splitlines()]
        return trainer.job

    folder = tmp_path / "attempt" / "model"
    folder.mkdir(parents=True)
    (folder / "adapter.safetensors").write_bytes(b"weights")
    (folder.parent / "judged.json").write_text(json.dumps({"base": [0.0] * 12, "tuned": [1.0] * 12}))
    submitted = trainer.submit
    trainer.submit = lambda request, *more: (submit(request), submitted(request, *more))[1]
    trainer.polled = [
        replace(trainer.job, status=ProviderJobStatus.SUCCEEDED, step=9, tuned_model=str(folder), cursor="9")
    ]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert len(trainer.lines) == 48 * times
    assert len(held["lines"]) == 12 * times
    assert set(trainer.lines[0]) == set(held["lines"][0]) == keys
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    assert run_now(run_id).status is RunStatus.READY
    with db.read() as session:
        summary = session.exec(select(Evaluation)).one().summary
    assert (summary["preferences"]["base"], summary["preferences"]["tuned"]) == (0.0, 1.0)
    assert summary["verdict"] == "better"
    assert summary["words"].startswith("Worth it: the tuned model prefers the wanted answers more often on 12 examples")


def test_a_methods_own_figures_are_kept_with_their_step(db, begin, carry, trainer, run_now):
    from providers.base import MetricPoint

    run_id = begin(Method.DPO)
    trainer.polled = [
        replace(
            trainer.job,
            metrics=[
                MetricPoint(1, 0.1, 0.7, figures={"reward_margin": 0.1, "secret": 1.0, "reward": float("nan")}),
                MetricPoint(1, 0.1, validation_loss=0.6, figures={"validation_reward_margin": 0.2}),
            ],
        ),
        replace(trainer.job, status=ProviderJobStatus.FAILED, error="Enough."),
    ]
    carry("train_local", run_id)
    with db.read() as session:
        kept = session.exec(select(RunMetric)).one()
    assert (kept.loss, kept.validation_loss) == (0.7, 0.6)
    assert kept.figures == {"reward_margin": 0.1, "validation_reward_margin": 0.2}
    assert run_now(run_id).progress["figures"] == kept.figures
