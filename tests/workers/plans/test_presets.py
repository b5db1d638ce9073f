import pytest

from providers.base import Method
from providers.local.memory import Shape
from workers.plans import presets
from workers.plans.choices import Choices

SMALL = Shape(30, 576, 1536, 49152, 192)
LARGE = Shape(32, 4096, 11008, 32000, 4096, tied=False)


def choices(**more):
    return Choices(dataset_id=1, name="n", base_model="m", **more)


@pytest.mark.parametrize("name", list(presets.PRESETS))
@pytest.mark.parametrize("model", [SMALL, LARGE, None])
def test_a_preset_is_a_valid_plan_and_known_again(name, model):
    made = presets.apply(name, choices(knobs={"lora_r": 3}), model, 2)
    assert made.knob_problems() == {}
    assert presets.named(made, model, 2) == name


def test_a_large_model_learns_at_a_lower_rate():
    assert presets.apply("usual", choices(), SMALL, 3).knob("learning_rate") == 5e-4
    assert presets.apply("usual", choices(), LARGE, 3).knob("learning_rate") == 2e-4


def test_the_tutorials_recipe():
    made = presets.apply("trl-tutorial", choices(), LARGE, 9)
    wanted = {
        "epochs": 3, "batch_size": 1, "gradient_accumulation": 8, "lora_r": 256, "lora_alpha": 128,
        "quantization": "nf4", "learning_rate": 2e-4, "scheduler": "constant", "max_grad_norm": 0.3,
        "packing": "packed", "max_length": 3072,
    }  # fmt: skip
    assert {name: made.knob(name) for name in wanted} == wanted


def test_changed_values_are_nobodys_preset():
    made = presets.apply("usual", choices(), SMALL, 3)
    assert presets.named(made, SMALL, 3) == "usual"
    assert presets.named(choices(knobs={**made.knobs, "lora_r": 7}), SMALL, 3) == presets.OWN


def test_what_a_method_does_not_know_is_left_out():
    made = presets.apply("full", choices(method=Method.DPO), SMALL, 3)
    assert made.knob_problems() == {}
    assert "trl-tutorial" not in presets.offered("local", Method.DPO)
    assert presets.offered("openai", Method.SFT) == []
