"""What a plan says about memory, before anything starts."""

import json

import pytest

from providers.local.hardware import Gpu, Hardware
from workers import training_hosts
from workers.plans import memory
from workers.plans.choices import Choices
from workers.settings import Settings
from workers.tables import Dataset

LLAMA_7B = {
    "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32, "intermediate_size": 11008,
    "vocab_size": 32000, "tie_word_embeddings": False, "max_position_embeddings": 4096,
}  # fmt: skip
LAPTOP = Hardware(memory=16 * 10**9, cores=4, bits=32)
A10 = Hardware(memory=64 * 10**9, cores=16, bits=16, gpus=(Gpu("A10", 24 * 10**9, 8.6),))


@pytest.fixture
def fit(db, tmp_path):
    """What is said of a plan on a machine, for examples that are at most so long."""

    def of(host, longest=200, base_model="smollm2-135m-instruct", **knobs):
        if host is not None:
            training_hosts.report(db, host)
        counted = {"total": 10_000, "max": longest, "assistant": {"total": 4_000}}
        dataset = Dataset(
            team_id="T1", name="d", sha256="s", storage_key="k", format="openai-chat", method="sft", examples=100,
            trainable=True, report={"tokens": counted},
        )  # fmt: skip
        choices = Choices(dataset_id=1, base_model=base_model, knobs=knobs)
        with db.read() as session:
            return memory.fit(session, Settings(home=tmp_path), choices, dataset)

    return of


@pytest.fixture
def seven_billion(tmp_path):
    folder = tmp_path / "llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA_7B))
    return str(folder)


def test_nothing_is_said_of_a_machine_that_nobody_has_seen(fit):
    assert fit(None) is None


def test_a_small_model_fits_on_a_laptop(fit):
    found = fit(LAPTOP)
    assert found.problem == ""
    assert found.words.endswith("of 16 GB (4 cores, 16 GB, no GPU)")


def test_too_large_a_batch_says_what_would_fit(fit):
    found = fit(LAPTOP, longest=2000, batch_size=64)
    assert "examples a step would fit" in found.problem


def test_a_large_model_is_said_not_to_fit_at_all(fit, seven_billion):
    found = fit(LAPTOP, longest=2000, base_model=seven_billion)
    assert "Not even one example of 2,000 tokens" in found.problem


def test_in_four_bits_it_fits_on_a_gpu(fit, seven_billion):
    knobs = {"batch_size": 1, "gradient_checkpointing": "on", "quantization": "nf4"}
    assert fit(A10, longest=1024, base_model=seven_billion, **knobs).problem == ""
    knobs["quantization"] = "none"
    assert fit(A10, longest=4096, base_model=seven_billion, tuning="full", batch_size=1).problem != ""


def test_a_model_of_another_kind_is_not_guessed(fit, tmp_path):
    assert fit(LAPTOP, base_model=str(tmp_path)) is None
