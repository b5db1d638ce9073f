"""Real logs of AutoTrain 0.8.36, read whole and in the pieces in which they grow."""

import random

import pytest

from providers.autotrain.log import MEMORY, LogReader, why
from tests.providers.autotrain.conftest import LOGS


def read(name, tmp_path, pieces=1, **given):
    path, data = tmp_path / name, (LOGS / name).read_bytes()
    reader, points = LogReader(path, **given), []
    cuts = sorted(random.Random(4).sample(range(len(data)), pieces - 1))
    for number, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(data)], strict=True)):
        with path.open("ab") as file:
            file.write(data[begin:end])
        points += reader.read(float(number))
    return reader, points


@pytest.mark.parametrize("pieces", [1, 7, 400])
def test_every_step_is_seen_once_however_the_log_grows(tmp_path, pieces):
    reader, points = read("sft.log", tmp_path, pieces)
    assert [one.step for one in points] == list(range(1, 41))
    assert (reader.step, reader.total, reader.stage, reader.errors) == (40, 40, "saving", [])
    assert (points[0].loss, points[-1].loss) == (7.7652, 1.4792)
    assert (points[0].epoch, points[-1].epoch) == (0.1, 4.0)
    assert points[1].learning_rate == 0.005


def test_pairs_are_read_too(tmp_path):
    reader, points = read("dpo.log", tmp_path, 50)
    assert len(points) == reader.total == 6
    assert points[0].loss == 0.6931
    assert points[-1].loss < 0.3


def test_the_pace_makes_a_speed_and_a_time_that_is_left(tmp_path):
    reader, points = read("sft.log", tmp_path, 400, tokens_a_step=256)
    known = [one.tokens_per_second for one in points if one.tokens_per_second]
    assert len(known) > 30
    assert all(one >= 1 for one in known)
    reader.step = 10
    assert reader.eta(reader.started + 20.0) == pytest.approx(60.0)


def test_what_failed_says_why_although_it_ended_well(tmp_path):
    reader, points = read("failed.log", tmp_path, 9)
    assert (points, reader.step) == ([], 0)
    assert why(reader, 0).startswith("AutoTrain failed: CUDA is required but not available for bitsandbytes.")


def test_what_was_killed_had_too_little_memory(tmp_path):
    reader, points = read("killed.log", tmp_path, 5)
    assert points
    assert reader.errors == []
    assert why(reader, 0) == MEMORY


def test_what_it_refuses_at_once_is_its_exceptions_words(tmp_path):
    reader, _ = read("refused.log", tmp_path)
    assert why(reader, 1) == ("AutoTrain failed: ValueError: project_name must be alphanumeric but can contain hyphens")


def test_a_loss_that_is_no_number_and_lines_that_only_look_like_the_logs(tmp_path):
    path = tmp_path / "log"
    path.write_text(
        "INFO     | 2026-11-25 07:00:00 | autotrain.trainers.common:on_train_begin:386 - Starting to train...\n"
        "INFO     | 2026-11-25 07:00:00 | autotrain.trainers.common:on_log:367 - {'loss': nan, 'epoch': 0.1}\n"
        "INFO     | 2026-11-25 07:00:00 | autotrain.trainers.common:on_log:367 - {'train_loss': 1.0, 'epoch': 1.0}\n"
        "ERROR    | 2026-11-25 07:00:00 | somebody.else:wrapper:1 - not AutoTrain's\n"
        "an example's text: ERROR    | 2026-11-25 07:00:00 | autotrain.trainers.common:wrapper:1 - made up\n"
        f"{'x' * 50_000}\n\n\r\r"
    )
    reader = LogReader(path)
    points = reader.read(0.0)
    assert [point.step for point in points] == [1]
    assert points[0].loss != points[0].loss
    assert reader.errors == []
    assert LogReader(tmp_path / "none").read(0.0) == []
