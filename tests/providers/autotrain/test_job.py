"""What AutoTrain is told, and what is refused before it is asked."""

import pytest
import yaml

from providers.autotrain import job
from providers.autotrain.job import Facts
from providers.base import AUTO, Method
from providers.capabilities import CAPABILITIES
from providers.errors import InvalidRequest

FACTS = Facts(
    examples=101, tokens=14_000, longest=190, longest_prompt=0, context=2048, small=True, gpu=False, bf16=False
)
DEFAULTS = {one.name: one.default for one in CAPABILITIES["autotrain"].knobs}


def written(method=Method.SFT, facts=FACTS, **knobs):
    made = job.write(method, 7, {**DEFAULTS, **knobs}, facts, base="/r/base", data="/r/data")
    return made, yaml.safe_load(made.text)


def test_the_traps_of_its_own_defaults_are_avoided():
    made, data = written()
    assert (data["task"], data["backend"], data["log"]) == ("llm-sft", "local", "none")
    assert "hub" not in data
    assert set(data["data"]) == {"path", "train_split", "valid_split", "chat_template", "column_mapping"}
    params = data["params"]
    assert params["quantization"] is None
    assert params["mixed_precision"] is None
    assert (params["peft"], params["unsloth"], params["merge_adapter"]) == (True, False, False)
    assert (params["lora_r"], params["lora_alpha"], params["seed"]) == (16, 32, 7)
    assert params["block_size"] == params["model_max_length"] == made.block == 192
    assert made.tokens_a_step == 4 * 192
    assert data["project_name"].replace("-", "").isalnum()


def test_every_knob_of_the_form_reaches_it():
    changed = {
        "epochs": 5, "learning_rate": 1e-3, "batch_size": 2, "lora_r": 4, "lora_alpha": 5, "lora_dropout": 0.2,
        "target_modules": "attention", "quantization": "nf4", "gradient_accumulation": 3, "max_length": 64,
        "warmup_ratio": 0.2, "weight_decay": 0.1, "max_grad_norm": 0.3, "precision": "fp16", "optimizer": "adafactor",
        "scheduler": "cosine", "beta": 0.4,
    }  # fmt: skip
    assert set(changed) == set(DEFAULTS)
    gpu = Facts(**{**vars(FACTS), "gpu": True, "bf16": True, "longest_prompt": 100})
    _, usual = written(Method.DPO, gpu)
    for name, value in changed.items():
        _, data = written(Method.DPO, gpu, **{name: value})
        assert data["params"] != usual["params"], name
    assert usual["params"]["mixed_precision"] == "bf16"
    assert set(DEFAULTS) <= job.KNOWN


def test_a_pair_is_never_cut_at_its_own_default():
    facts = Facts(**{**vars(FACTS), "longest": 301, "longest_prompt": 290})
    _, data = written(Method.DPO, facts)
    assert data["params"]["max_prompt_length"] == data["params"]["block_size"] == 304
    assert data["data"]["column_mapping"]["prompt_text_column"] == "prompt"
    assert data["params"]["dpo_beta"] == 0.1


@pytest.mark.parametrize(
    ("tokens", "longest", "block"),
    [(100_000, 3000, 1024), (2_600, 61, 64), (400, 61, 32), (33, 40, 32), (40_000, 61, 64)],
)
def test_joined_blocks_are_short_enough_for_some_steps(tokens, longest, block):
    made, _ = written(facts=Facts(**{**vars(FACTS), "tokens": tokens, "longest": longest}))
    assert made.block == block


@pytest.mark.parametrize(
    ("method", "knobs", "words"),
    [
        (Method.KTO, {}, "sft and dpo here, not for kto"),
        (Method.SFT, {"epochs": 1.5}, "whole epochs only"),
        (Method.SFT, {"packing": "off", "lora_r": "many"}, "'packing' here; lora_r must be a number"),
        (Method.SFT, {"quantization": "int3"}, "quantization must be one of none, nf4, int8"),
        (Method.SFT, {"quantization": "nf4"}, "needs an NVIDIA GPU"),
        (Method.SFT, {"precision": "fp16"}, "fp16 needs a GPU"),
        (Method.SFT, {"learning_rate": float("nan")}, "learning_rate must be a number"),
        (Method.SFT, {"optimizer": "paged"}, "optimizer must be one of adamw_torch"),
    ],
)
def test_what_cannot_be_is_refused_with_all_reasons(method, knobs, words):
    with pytest.raises(InvalidRequest, match=words):
        written(method, **knobs)


def test_too_little_text_is_said():
    with pytest.raises(InvalidRequest, match="have 20 tokens: too few"):
        written(facts=Facts(**{**vars(FACTS), "tokens": 20}))


def test_auto_is_as_if_nothing_was_said():
    assert written(max_length=AUTO, lora_alpha=AUTO)[1] == written()[1]
