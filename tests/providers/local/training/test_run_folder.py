from pathlib import Path

import pytest

from providers.base import Method, MetricPoint, ProviderEvent, ProviderJobStatus, TrainingRequest
from providers.errors import NotFound
from providers.local.training.run_folder import COMPLETE, Reporter, RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def test_a_request_is_read_as_it_was_written(folder):
    request = TrainingRequest(
        key="k",
        base_model="b",
        method=Method.SFT,
        train_path=folder.path / "train.jsonl",
        suffix="s",
        folder=folder.path,
        resume_from=Path("/x/checkpoint-3"),
        hyperparameters={"epochs": 2, "learning_rate": 0.5},
    )
    folder.write_request(request)
    assert folder.read_request() == request
    assert RunFolder.open(str(folder.path)) == folder


def test_only_a_folder_with_a_request_is_a_job(folder):
    for job_id in (str(folder.path), "relative", "", "/"):
        with pytest.raises(NotFound):
            RunFolder.open(job_id)


def test_news_are_told_once_and_only_whole_lines(folder):
    assert folder.news() == folder.news(0)
    folder.append(MetricPoint(1, loss=2.0))
    folder.append(ProviderEvent("e", 1.0, "warning", "d\u00e9j\u00e0"))
    first = folder.news()
    assert (list(first.metrics), [one.message for one in first.events]) == (
        [MetricPoint(1, loss=2.0)],
        ["d\u00e9j\u00e0"],
    )
    with (folder.path / "news.jsonl").open("a") as file:
        file.write('{"metric": {"step": 2')
    assert folder.news(first.cursor).metrics == []
    with (folder.path / "news.jsonl").open("a") as file:
        file.write("}}\n")
    assert list(folder.news(first.cursor).metrics) == [MetricPoint(2)]


def test_a_final_status_stays(folder):
    reporter = Reporter(folder)
    assert folder.read_status().status is ProviderJobStatus.PENDING
    assert reporter.say(status=ProviderJobStatus.CANCELLED)
    assert not reporter.say(status=ProviderJobStatus.SUCCEEDED)
    assert folder.read_status().status is ProviderJobStatus.CANCELLED


def test_checkpoints_count_when_they_are_complete(folder):
    for step in (9, 10, 100):
        (folder.checkpoints_folder / f"checkpoint-{step}").mkdir(parents=True)
    assert folder.checkpoints() == []
    for step in (9, 10):
        (folder.checkpoints_folder / f"checkpoint-{step}" / COMPLETE).touch()
    assert [path.name for path in folder.checkpoints()] == ["checkpoint-9", "checkpoint-10"]
    folder.prune(keep=1)
    assert sorted(path.name for path in folder.checkpoints_folder.iterdir()) == ["checkpoint-10", "checkpoint-100"]


def test_one_trainer_at_a_time(folder):
    assert not folder.is_alive()
    held = folder.lock()
    assert folder.is_alive()
    assert folder.lock() is None
    held.close()
    assert not folder.is_alive()
