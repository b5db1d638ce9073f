"""Adapters of every kind, alone and in one batch, beside PEFT's own answers."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from providers.errors import InvalidRequest
from providers.local.adapter_state import changes_nothing
from providers.local.serving import adapters
from providers.local.serving.batching import Batch, Row
from providers.local.serving.catalogue import Catalogue, Entry
from providers.local.serving.detokenise import TextStream
from providers.local.serving.generation import Generation, Question
from providers.local.serving.prefixes import Prefix, Prefixes
from providers.local.serving.weights import Weights

pytestmark = [  # PEFT's words about models that it is given here on purpose
    pytest.mark.filterwarnings("ignore::UserWarning:peft"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

KINDS = {
    "lora": {"r": 8, "lora_alpha": 16},
    "rslora": {"r": 6, "lora_alpha": 10, "use_rslora": True},
    "dora": {"r": 4, "lora_alpha": 8, "use_dora": True},
    "patterns": {"r": 4, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.self_attn.q_proj": 32}},
    "attention": {"r": 8, "target_modules": ["q_proj", "v_proj"]},
    "last": {"r": 4, "target_modules": ["lm_head", "up_proj"]},
    "whole-module": {"r": 4, "modules_to_save": ["norm"]},
    "embedding": {"r": 4, "target_modules": ["embed_tokens", "q_proj"]},
}
ALONE = {"whole-module", "embedding", "last"}
"""More than two small matrices a layer: a model of their own, to which PEFT applies them. The tiny model reads and
writes words with the same numbers, so PEFT saves these whole when its last layer is tuned."""
PROMPTS = [[5, 6, 7, 8], [9, 8, 7, 6, 5, 4], [30, 31, 32], [100, 20, 3, 50, 60, 70, 80, 90]]
TOKENS = 12


@pytest.fixture(scope="module")
def models(tiny, tmp_path_factory):
    """A folder of models, one of each kind, with values as after a training."""
    folder = tmp_path_factory.mktemp("models")
    for number, (kind, settings) in enumerate(KINDS.items()):
        torch.manual_seed(number)
        base = AutoModelForCausalLM.from_pretrained(tiny)
        tuned = get_peft_model(
            base, LoraConfig(**{"target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings)
        )
        with torch.no_grad():
            for name, value in tuned.named_parameters():
                if value.requires_grad:
                    spread = 0.2 if "magnitude" in name or "norm" in name else 0.3
                    value.add_(torch.randn_like(value) * spread)
        tuned.save_pretrained(folder / kind)
        AutoTokenizer.from_pretrained(tiny).save_pretrained(folder / kind)
        (folder / kind / "model.json").write_text(json.dumps({"base_model": str(tiny)}))
    return folder


@pytest.fixture(scope="module")
def wanted(models, tiny):
    """PEFT's answers to each prompt, one at a time, by kind; "" is the base model."""
    said = {}
    for kind in ["", *KINDS]:
        model = AutoModelForCausalLM.from_pretrained(tiny)
        model = PeftModel.from_pretrained(model, models / kind).eval() if kind else model.eval()
        said[kind] = []
        for prompt in PROMPTS:
            out = model.generate(
                input_ids=torch.tensor([prompt]), max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False,
                eos_token_id=399, pad_token_id=0,
            )  # fmt: skip
            said[kind].append(out[0, len(prompt) :].tolist())
    return said


def row(weights, entry, prompt, limit=TOKENS):
    voice = weights.voice(entry)
    asked = Generation(Question(entry, [], limit), lambda _piece: None)
    return Row(asked, prompt, voice.adapter, frozenset(), TextStream(voice.tokenizer), limit)


def finished(weights, rows, later=()):
    batch = Batch(weights.model, weights.device, weights.stretches)
    batch.join(rows)
    later = list(later)
    while batch.rows:
        if later:
            batch.join([later.pop()])
        batch.step()


def test_which_kinds_share_a_base_model(models, tiny):
    entries = Catalogue(models, models / "cache").entries()
    assert {kind for kind in KINDS if not entries[kind].mixes} == ALONE
    assert {entries[kind].weights for kind in KINDS if kind not in ALONE} == {str(tiny)}
    assert len({entries[kind].weights for kind in ALONE}) == len(ALONE)


def test_all_kinds_in_one_batch_say_what_peft_says_for_each_alone(models, tiny, wanted):
    catalogue, weights = Catalogue(models, models / "cache"), Weights(tiny)
    kinds = ["", *(kind for kind in KINDS if kind not in ALONE)]
    base = Entry(str(tiny), str(tiny))
    asked = [(kind, number) for number in range(len(PROMPTS)) for kind in kinds]
    rows = [row(weights, catalogue.find(kind) if kind else base, PROMPTS[number]) for kind, number in asked]
    finished(weights, rows[:20], later=rows[20:])
    for (kind, number), one in zip(asked, rows, strict=True):
        assert one.written == wanted[kind][number], kind
    firsts = [wanted[kind][0] for kind in kinds]
    assert len({tuple(one) for one in firsts}) == len(kinds), "the kinds differ, or the test says nothing"


@pytest.mark.parametrize("kind", sorted(ALONE))
def test_other_kinds_are_applied_by_peft_to_a_model_of_their_own(models, tiny, wanted, kind):
    entry = Catalogue(models, models / "cache").find(kind)
    weights = Weights(tiny, alone=entry)
    rows = [row(weights, entry, prompt) for prompt in PROMPTS]
    finished(weights, rows)
    assert [one.written for one in rows] == wanted[kind]
    assert wanted[kind] != wanted[""]


def test_the_adapter_that_was_asked_longest_ago_goes_first(models, tiny, wanted):
    catalogue = Catalogue(models, models / "cache")
    one = Weights(tiny).voice(catalogue.find("lora")).adapter.bytes
    weights = Weights(tiny, adapter_bytes=2 * one)
    voices = {kind: weights.voice(catalogue.find(kind)).adapter for kind in ("lora", "attention")}
    assert weights.voice(catalogue.find("lora")).adapter is voices["lora"]
    weights.voice(catalogue.find("dora"))
    weights.voice(catalogue.find("rslora"))
    assert weights.loaded < 4
    assert weights.voice(catalogue.find("rslora")).adapter is not None
    held = row(weights, catalogue.find("attention"), PROMPTS[0])
    for kind in ("lora", "dora", "patterns", "rslora"):
        weights.voice(catalogue.find(kind))
    finished(weights, [held])  # what is in use stays, wherever its turn was
    assert held.written == wanted["attention"][0]


def test_an_adapter_larger_than_the_room_still_answers(models, tiny, wanted):
    weights = Weights(tiny, adapter_bytes=0)
    one = row(weights, Catalogue(models, models / "cache").find("lora"), PROMPTS[1])
    finished(weights, [one])
    assert (one.written, weights.loaded) == (wanted["lora"][1], 1)


def test_equal_tokenizers_are_kept_once(models, tiny):
    catalogue, weights = Catalogue(models, models / "cache"), Weights(tiny)
    assert weights.voice(catalogue.find("lora")).tokenizer is weights.voice(catalogue.find("dora")).tokenizer


def changed(models, tmp_path, kind, change):
    folder = tmp_path / "changed"
    folder.mkdir()
    for path in (models / kind).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    state = {
        name: change(name, value).contiguous()
        for name, value in load_file(folder / "adapter_model.safetensors").items()
    }
    save_file(state, folder / "adapter_model.safetensors")
    return Catalogue(tmp_path, tmp_path / "cache").find("changed")


@pytest.mark.parametrize("part", ["lora_A", "lora_B"])
def test_an_adapter_that_changes_nothing_is_said(models, tiny, tmp_path, part):
    entry = changed(models, tmp_path, "lora", lambda name, value: value * 0 if part in name else value)
    with pytest.raises(InvalidRequest, match="changes nothing"):
        Weights(tiny).voice(entry)


def test_one_layer_that_changes_is_a_change(models):
    state = load_file(models / "lora" / "adapter_model.safetensors")
    last = [name for name in state if "lora_B" in name][-1]
    assert not changes_nothing(state)
    assert not changes_nothing({name: value * (name == last or "lora_A" in name) for name, value in state.items()})
    assert changes_nothing({name: value * ("lora_A" in name) for name, value in state.items()})
    assert changes_nothing({})


def test_an_adapter_whose_training_ran_away_is_said(models, tiny, tmp_path):
    entry = changed(models, tmp_path, "lora", lambda name, value: value / 0 if "lora_B" in name else value)
    with pytest.raises(InvalidRequest, match="no numbers"):
        Weights(tiny).voice(entry)


@pytest.mark.parametrize("kind", ["lora", "dora", "attention"])
def test_an_adapter_of_another_base_model_is_said(models, tiny, tmp_path, kind):
    entry = changed(models, tmp_path, kind, lambda name, value: value[:, :-1] if "lora_A" in name else value)
    with pytest.raises(InvalidRequest, match="does not fit"):
        Weights(tiny).voice(entry)


def test_half_a_file_is_said(models, tiny, tmp_path):
    entry = changed(models, tmp_path, "lora", lambda _name, value: value)
    path = tmp_path / "changed" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidRequest, match="does not fit"):
        Weights(tiny).voice(Catalogue(tmp_path, tmp_path / "cache").find(entry.name))


def test_the_saved_scaling_is_what_peft_computes(models, tiny):
    """Each layer's two matrices, multiplied, are the difference that PEFT merges."""
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), models / "patterns")
    plain = AutoModelForCausalLM.from_pretrained(tiny)
    merged = dict(tuned.merge_and_unload().named_parameters())
    weights = Weights(tiny)
    read = adapters.read(models / "patterns", "patterns", weights._layers, weights._last)
    for layer, part in read.parts.items():
        difference = merged[f"{layer}.weight"] - dict(plain.named_parameters())[f"{layer}.weight"]
        torch.testing.assert_close(part.up.T @ part.down, difference, atol=1e-5, rtol=1e-4)


def followed(weights, entry, prompts):
    """The answers to prompts that are asked one after the other, and how many tokens were read for them."""
    read, forward = [], weights.model.forward

    def counted(*rest, **more):
        read.append(more["input_ids"].shape[1])
        return forward(*rest, **more)

    said = []
    weights.model.forward = counted
    for prompt in prompts:
        one = row(weights, entry, prompt)
        batch = Batch(weights.model, weights.device, weights.stretches, weights.prefixes)
        batch.join([one])
        while batch.rows:
            batch.step()
        said.append(one.written)
    weights.model.forward = forward
    return said, [tokens for tokens in read if tokens > 1]


LONG = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


@pytest.mark.parametrize("kind", ["", "lora", "dora"])
def test_what_was_read_before_is_not_read_again_and_changes_no_answer(models, tiny, kind):
    entry = Catalogue(models, models / "cache").find(kind) if kind else Entry(str(tiny), str(tiny))
    fresh = Weights(tiny)
    first = row(fresh, entry, LONG)
    finished(fresh, [first])
    conversation = [*LONG, *first.written, 40, 41, 42]
    prompts = [LONG, conversation, [*LONG, 99, 98], [50, *LONG]]
    alone = [row(fresh, entry, prompt) for prompt in prompts]
    for one in alone:
        finished(fresh, [one])
    said, read = followed(Weights(tiny, adapter_bytes=1 << 30), entry, prompts)
    assert said == [one.written for one in alone]
    assert read == [len(LONG), 4, 2, len(LONG) + 1]  # the last token that was written had not been read


def test_what_one_model_read_is_not_another_one_s(models, tiny):
    catalogue, weights = Catalogue(models, models / "cache"), Weights(tiny, adapter_bytes=1 << 30)
    followed(weights, catalogue.find("lora"), [LONG])
    _, read = followed(weights, catalogue.find("dora"), [LONG])
    assert read == [len(LONG)]


def test_rows_with_a_common_beginning_read_it_once(models, tiny):
    entry, weights = Entry(str(tiny), str(tiny)), Weights(tiny)
    followed(weights, entry, [LONG])
    prompts = [[*LONG, 20, 21, 22, 23], [*LONG, 30], [*LONG[:10], 60, 61]]
    alone = [row(weights, entry, prompt) for prompt in prompts]
    for one in alone:
        finished(weights, [one])
    rows = [row(weights, entry, prompt) for prompt in prompts]
    batch = Batch(weights.model, weights.device, weights.stretches, weights.prefixes)
    batch.join(rows)
    while batch.rows:
        batch.step()
    assert [one.written for one in rows] == [one.written for one in alone]


def test_what_was_read_takes_only_so_much_memory():
    def prefix(first, length=4):
        one = torch.zeros(1, 1, length, 2)
        return Prefix([first] * length * 2, [one], [one])

    kept = Prefixes(room=3 * prefix(0).bytes)
    for first in range(4):
        kept.keep(None, prefix(first))
    kept.keep(None, prefix(9, length=100))
    found = [first for first in range(10) if kept.longest(None, [[first] * 8 + [0]])]
    assert found == [1, 2, 3]
