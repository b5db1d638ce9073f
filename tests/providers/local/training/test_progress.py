from types import SimpleNamespace

import pytest

from providers.errors import TrainingFailed
from providers.local.training.control import Control
from providers.local.training.run_folder import Reporter, RunFolder

STATE = SimpleNamespace(global_step=3, max_steps=10, epoch=0.5)


@pytest.fixture
def progress(tmp_path):
    from providers.local.training.progress import Progress

    reporter = Reporter(RunFolder(tmp_path))
    return Progress(RunFolder(tmp_path), reporter, Control(reporter))


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training_with_advice(progress, loss):
    with pytest.raises(TrainingFailed, match=r"step 3.*learning rate"):
        progress.on_log(None, STATE, None, {"loss": loss})


def test_it_tells_how_long_it_will_take(progress, tmp_path):
    progress.on_train_begin(SimpleNamespace(num_train_epochs=2.0), SimpleNamespace(global_step=2, max_steps=10), None)
    progress.count(500)
    progress.on_log(None, STATE, None, {"loss": 1.5, "learning_rate": 1e-4})
    told = RunFolder(tmp_path).read_status()
    assert (told.step, told.total_steps, told.total_epochs, told.trained_tokens) == (3, 10, 2.0, 500)
    assert told.eta_seconds is None  # a first step warms up: it says nothing about the pace
    (point,) = RunFolder(tmp_path).news().metrics
    progress.on_log(None, SimpleNamespace(global_step=4, max_steps=10, epoch=0.5), None, {"loss": 1.2})
    assert RunFolder(tmp_path).read_status().eta_seconds > 0
    assert (point.step, point.loss, point.learning_rate) == (3, 1.5, 1e-4)
