"""A batch that the memory does not hold is done in parts, and teaches the same; a try leaves no trace."""

import random

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig

from providers.errors import InvalidRequest, TrainingFailed
from providers.local.training import preflight
from providers.local.training.batches import FlatCollator, halves
from providers.local.training.methods.answers_only import LearningTrainer, is_out_of_memory
from providers.local.training.methods.base import Learnable

ROWS = 8
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of libraries about one another


@pytest.fixture(params=["padded", "flat"])
def built(request, tiny, tmp_path):
    """A trainer of the tiny model, which has halved so many batches; and what it learns from."""
    random.seed(1)
    torch.manual_seed(1)
    ids = [[1, *(random.randrange(3, 300) for _ in range(random.randrange(8, 20))), 2] for _ in range(ROWS)]
    columns = {"input_ids": ids, "labels": [[-100, *one[1:]] for one in ids]}
    halved = []
    trainer = LearningTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny),
        args=SFTConfig(
            output_dir=str(tmp_path), per_device_train_batch_size=ROWS, max_length=None, report_to="none", use_cpu=True,
            bf16=False, dataset_kwargs={"skip_prepare_dataset": True}, activation_checkpointing=False,
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=AutoTokenizer.from_pretrained(tiny),
        peft_config=LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False),
        count=lambda _tokens: None,
        halved=lambda: halved.append(1),
        **({"data_collator": FlatCollator()} if request.param == "flat" else {}),
    )  # fmt: skip
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1
    examples = [{name: column[one] for name, column in columns.items()} for one in range(ROWS)]
    return trainer, trainer.data_collator(examples), Learnable(columns, 22), halved


def gradients(trainer):
    return {name: one.grad.clone() for name, one in trainer.model.named_parameters() if one.requires_grad}


def scarce(trainer, most, monkeypatch):
    """Let the memory hold so many tokens only; what does not fit breaks off after it has added some gradients."""
    whole = trainer.compute_loss

    def limited(model, inputs, **more):
        if inputs["input_ids"].numel() > most:
            whole(model, inputs, **more).backward()
            raise RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory")
        return whole(model, inputs, **more)

    monkeypatch.setattr(trainer, "compute_loss", limited)


def test_halves_teach_exactly_what_the_whole_does(built, monkeypatch):
    trainer, batch, _, halved = built
    items = (batch["labels"][:, 1:] >= 0).sum()
    loss = trainer.training_step(trainer.model, dict(batch), items)
    expected = gradients(trainer)
    scarce(trainer, batch["input_ids"].numel() // 3, monkeypatch)
    for _ in range(2):
        trainer.model.zero_grad(set_to_none=True)
        assert trainer.training_step(trainer.model, dict(batch), items) == pytest.approx(float(loss), rel=1e-4)
        found = gradients(trainer)
        for name, one in expected.items():
            torch.testing.assert_close(found[name], one, rtol=1e-3, atol=1e-6)
    assert 1 <= len(halved) <= 4


def test_short_memory_in_a_later_batch_of_a_step_forgets_none_before_it(built, monkeypatch):
    trainer, batch, _, halved = built
    items = (batch["labels"][:, 1:] >= 0).sum()
    first, second = halves(batch)
    together = trainer.training_step(trainer.model, dict(first), items) + trainer.training_step(
        trainer.model, dict(second), items
    )
    expected = gradients(trainer)
    trainer.model.zero_grad(set_to_none=True)
    begun = trainer.training_step(trainer.model, dict(first), items)
    scarce(trainer, second["input_ids"].numel() - 1, monkeypatch)
    rest = trainer.training_step(trainer.model, dict(second), items)
    assert halved
    assert begun + rest == pytest.approx(float(together), rel=1e-4)
    found = gradients(trainer)
    for name, one in expected.items():
        torch.testing.assert_close(found[name], one, rtol=1e-3, atol=1e-6)


def test_for_one_example_activations_are_recomputed_and_then_it_is_an_error(built, monkeypatch):
    trainer, batch, _, halved = built
    recomputed = []
    trainer._recomputed = lambda: recomputed.append(trainer.model.is_activation_checkpointing)
    scarce(trainer, 1, monkeypatch)
    with pytest.raises(TrainingFailed, match="not hold a single example"):
        trainer.training_step(trainer.model, dict(batch), torch.tensor(9))
    assert (len(halved), recomputed) == (3, [True])


def test_recomputed_activations_teach_the_same(built, monkeypatch):
    trainer, batch, _, _ = built
    items = (batch["labels"][:, 1:] >= 0).sum()
    trainer.training_step(trainer.model, dict(batch), items)
    expected = gradients(trainer)
    trainer.model.zero_grad(set_to_none=True)
    whole = trainer.compute_loss

    def limited(model, inputs, **more):
        if not trainer.model.is_activation_checkpointing:
            raise MemoryError
        return whole(model, inputs, **more)

    monkeypatch.setattr(trainer, "compute_loss", limited)
    trainer.training_step(trainer.model, dict(batch), items)
    found = gradients(trainer)
    for name, one in expected.items():
        torch.testing.assert_close(found[name], one, rtol=1e-3, atol=1e-6)


def test_other_errors_are_not_taken_for_short_memory(built, monkeypatch):
    trainer, batch, _, halved = built
    monkeypatch.setattr(trainer, "compute_loss", lambda *_args, **_more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.training_step(trainer.model, dict(batch), torch.tensor(9))
    assert halved == []
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_a_try_leaves_weights_and_chance_as_they_were(built):
    trainer, _, train, _ = built
    before = {name: one.detach().clone() for name, one in trainer.model.named_parameters()}
    chance = torch.get_rng_state()
    preflight.check(trainer, train, frozenset({2}), rows=2)
    assert torch.equal(torch.get_rng_state(), chance)
    for name, one in trainer.model.named_parameters():
        assert torch.equal(one, before[name])
        assert one.grad is None


@pytest.mark.parametrize(
    ("loss", "words"),
    [(float("nan"), "no number"), (0.0, "nothing to learn"), (3.0, "did not lower the loss")],
)
def test_a_try_finds_what_would_waste_the_training(built, monkeypatch, loss, words):
    trainer, _, train, _ = built
    weight = next(one for one in trainer.model.parameters() if one.requires_grad)
    monkeypatch.setattr(trainer, "compute_loss", lambda *_args: weight.sum() * 0 + loss)
    with pytest.raises(InvalidRequest, match=words):
        preflight.check(trainer, train, frozenset({2}), rows=2)


def test_a_model_that_never_stops_is_only_warned_of(built):
    trainer, _, train, _ = built
    asked = {**train.columns, "labels": [[-100] * 3 + one[3:] for one in train.columns["input_ids"]]}
    said = preflight.check(trainer, Learnable(asked, 22), frozenset({399}), rows=1)
    assert "did not end its answer" in said[0]
