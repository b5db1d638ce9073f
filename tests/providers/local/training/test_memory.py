"""Estimates beside peaks that were measured (batches of random tokens, half of them learnt, two cores, torch 2.13)."""

import pytest

from providers.local import memory

SMOLLM2 = memory.Shape(layers=30, width=576, inner_width=1536, vocabulary=49152, key_value_width=192, context=8192)
MEASURED = [  # rows, tokens, knobs, bits, megabytes
    (1, 128, {}, 16, 1581),
    (4, 128, {}, 16, 2318),
    (4, 512, {}, 16, 5062),
    (8, 256, {}, 16, 5300),
    (4, 512, {}, 32, 7577),
    (4, 512, {"gradient_checkpointing": "on"}, 16, 3430),
    (4, 128, {"tuning": "full"}, 16, 3553),
]


@pytest.mark.parametrize(("rows", "tokens", "knobs", "bits", "megabytes"), MEASURED)
def test_the_estimate_is_near_what_was_measured(rows, tokens, knobs, bits, megabytes):
    found = memory.need(SMOLLM2, knobs, rows=rows, tokens=tokens, learnt=0.5, bits=bits, gpu=False)
    assert 0.8 < found.total / 1e6 / megabytes < 1.3


def test_it_counts_a_models_numbers_by_its_configuration():
    config = {
        "hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3, "num_hidden_layers": 30,
        "intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": True, "max_position_embeddings": 8192,
    }  # fmt: skip
    assert memory.shape(config) == SMOLLM2
    assert SMOLLM2.parameters == 134_515_008
    assert SMOLLM2.adapter(16) == 4_884_480
    assert memory.shape({"text_config": config}) == SMOLLM2


@pytest.mark.parametrize(
    "config", ["{}", "[]", "no json", '{"hidden_size": "wide"}', '{"hidden_size": 4, "num_attention_heads": 0}']
)
def test_a_model_of_another_kind_is_not_guessed(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    assert memory.shape_of(tmp_path) is None
    assert memory.shape_of(tmp_path / "nowhere") is None


def test_a_large_model_in_four_bits_fits_where_it_would_not_in_sixteen():
    llama = memory.Shape(32, 4096, 11008, 32000, 4096, tied=False)
    assert 6.7e9 < llama.parameters < 6.8e9
    asked = {"rows": 1, "tokens": 2048, "learnt": 0.5, "bits": 16, "gpu": True}
    small = {"gradient_checkpointing": "on", "lora_r": 16, "quantization": "nf4"}
    assert memory.need(llama, small, **asked).total < 12e9
    assert memory.need(llama, {**small, "quantization": "none"}, **asked).total > 16e9
    assert memory.need(llama, {"tuning": "full"}, **asked).total > 100e9


def test_the_most_rows_that_fit():
    asked = {"tokens": 512, "learnt": 0.5, "bits": 16, "gpu": False}
    rows = memory.most_rows(SMOLLM2, {}, available=8_000_000_000, most=64, **asked)
    assert rows & (rows - 1) == 0
    assert memory.need(SMOLLM2, {}, rows=rows, **asked).total <= 8_000_000_000
    assert memory.need(SMOLLM2, {}, rows=2 * rows, **asked).total > 8_000_000_000
    assert memory.most_rows(SMOLLM2, {}, available=1_000_000_000, most=64, **asked) == 0
    assert memory.most_rows(SMOLLM2, {}, available=10**12, most=6, **asked) == 4
