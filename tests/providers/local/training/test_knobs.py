from dataclasses import fields

import pytest

from providers.base import AUTO
from providers.capabilities import CAPABILITIES
from providers.errors import InvalidRequest
from providers.local.training.knobs import Knobs

DECLARED = {one.name: one for one in fields(Knobs)}


@pytest.mark.parametrize("knob", CAPABILITIES["local"].knobs, ids=lambda knob: knob.name)
def test_forms_offer_what_the_trainer_takes(knob):
    told = DECLARED[knob.name].metadata
    assert Knobs.read({knob.name: knob.default}) == Knobs()
    assert knob.choices == told.get("choices", ())
    assert knob.can_auto == told.get("can_auto", False)
    if not knob.choices:
        assert told["low"] <= knob.low < knob.high <= told["high"]


def test_every_hyperparameter_is_in_the_form_but_one():
    offered = {knob.name for knob in CAPABILITIES["local"].knobs}
    assert DECLARED.keys() - offered == {"checkpoint_steps"}
    assert {knob.name for knob in CAPABILITIES["local"].knobs if not knob.advanced} == {
        "epochs",
        "learning_rate",
        "batch_size",
        "lora_r",
    }


def test_values_are_read_by_their_kind():
    knobs = Knobs.read({"epochs": 2, "lora_r": 8.0, "tuning": "dora", "batch_size": AUTO, "eval_steps": AUTO})
    assert (knobs.epochs, knobs.lora_r, knobs.tuning, knobs.batch_size, knobs.eval_steps) == (2.0, 8, "dora", 0, 0)
    assert isinstance(knobs.lora_r, int)
    assert (knobs.alpha, Knobs.read({"lora_alpha": 5}).alpha) == (16, 5)


def test_all_problems_are_said_at_once():
    wrong = {
        "speed": 3,
        "lora_r": 0,
        "epochs": AUTO,
        "tuning": "adapter",
        "batch_size": 1.5,
        "learning_rate": float("nan"),
        "precision": 16,
    }
    with pytest.raises(InvalidRequest) as caught:
        Knobs.read(wrong)
    for words in (
        "no hyperparameter 'speed'",
        "lora_r must be between 1 and 1024",
        "epochs must be a number",
        "tuning must be one of lora, dora, rslora, full",
        'batch_size must be a whole number, or "auto"',
        "learning_rate must be a number",
        "precision must be one of auto, bf16, fp16, fp32",
    ):
        assert words in caught.value.user_message


def test_what_contradicts_itself_is_refused():
    with pytest.raises(InvalidRequest, match="needs an adapter"):
        Knobs.read({"tuning": "full", "quantization": "nf4"})
