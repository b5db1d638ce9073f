"""A base model and examples as an older trainer reads them."""

import json

import pytest
from pyarrow import parquet
from transformers import AutoTokenizer

from providers.base import Method
from providers.errors import InvalidRequest
from providers.local import portable

TALK = [
    {"role": "developer", "content": "Be short."},
    {"role": "user", "content": "the cat"},
    {"role": "assistant", "content": "is in it"},
    {"role": "user", "content": "42"},
    {"role": "assistant", "content": "43"},
]


def written(tiny, tmp_path, *records, method=Method.SFT):
    train = tmp_path / "train.jsonl"
    train.write_text("\n".join(map(json.dumps, records)))
    facts = portable.write(tiny, method, train, tmp_path)
    return facts, parquet.read_table(tmp_path / "data" / "train.parquet").to_pylist()


def test_a_conversation_is_written_as_the_server_renders_it(tiny, tmp_path):
    facts, rows = written(tiny, tmp_path, {"messages": TALK}, {"messages": TALK[1:3]})
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    told = [{**one, "role": "system" if one["role"] == "developer" else one["role"]} for one in TALK]
    whole = tokenizer.apply_chat_template(told, tokenize=False)
    assert rows[0]["text"] + "<|end|>\n" == whole  # AutoTrain puts the end there itself
    assert facts.examples == 2
    assert facts.longest == len(tokenizer(whole.rstrip())["input_ids"])
    assert (facts.context, facts.small) == (512, True)
    assert facts.warnings == []


def test_a_pairs_answers_begin_where_the_server_asks_for_one(tiny, tmp_path):
    asked, good, bad = TALK[:2], [{"role": "assistant", "content": "7"}], [{"role": "assistant", "content": "8"}]
    record = {"input": {"messages": asked}, "preferred_output": good, "non_preferred_output": bad}
    facts, rows = written(tiny, tmp_path, record, method=Method.DPO)
    told = [{"role": "system", "content": "Be short."}, TALK[1]]
    prompt = AutoTokenizer.from_pretrained(tiny).apply_chat_template(told, tokenize=False, add_generation_prompt=True)
    assert rows == [{"prompt": prompt, "text": "7", "rejected_text": "8"}]  # texts, not numbers
    assert facts.longest > facts.longest_prompt > 0


def test_the_settings_say_the_same_in_older_words(tiny, tmp_path):
    source = tmp_path / "newer"
    source.mkdir()
    for path in tiny.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    config = json.loads((source / "config.json").read_text())
    angles = {"rope_theta": 500_000.0, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}
    (source / "config.json").write_text(json.dumps({**config, "rope_parameters": angles}))
    (source / "modeling_evil.py").write_text("raise SystemExit")
    portable.older_model(source, tmp_path / "base")
    older = json.loads((tmp_path / "base" / "config.json").read_text())
    assert older["rope_theta"] == 500_000.0
    assert older["rope_scaling"] == {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}
    assert older["torch_dtype"] == "float32"
    assert "rope_parameters" not in older
    assert "dtype" not in older
    tokens = json.loads((tmp_path / "base" / "tokenizer_config.json").read_text())
    assert tokens["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert (tmp_path / "base" / "model.safetensors").is_symlink()
    assert not (tmp_path / "base" / "modeling_evil.py").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"auto_map": {"AutoModel": "modeling_evil.Model"}}, "code of its own"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}, "too old for this base model"),
    ],
)
def test_what_older_libraries_could_only_guess_is_refused(changes, words):
    with pytest.raises(InvalidRequest, match=words):
        portable._older_config({"model_type": "llama", **changes})


@pytest.mark.parametrize(
    ("record", "method", "words"),
    [
        ({"messages": "hello"}, Method.SFT, "Line 1 of the training file is not a list of messages"),
        ({"messages": [{"role": "user", "content": [1]}]}, Method.SFT, "not a list of messages"),
        ([1], Method.SFT, "no JSON object"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, Method.SFT, "calls a tool"),
        ({"input": {}, "preferred_output": TALK[2:3]}, Method.DPO, "not a list of messages"),
        (
            {
                "input": {"messages": TALK[:2]},
                "preferred_output": [{"role": "assistant", "content": ""}],
                "non_preferred_output": TALK[2:3],
            },
            Method.DPO,
            "Line 1 has an empty answer",
        ),
    ],
)
def test_a_line_that_cannot_be_learnt_is_named(tiny, tmp_path, record, method, words):
    with pytest.raises(InvalidRequest, match=words):
        written(tiny, tmp_path, record, method=method)


def test_answers_that_were_not_to_be_learnt_are_told(tiny, tmp_path):
    facts, _ = written(tiny, tmp_path, {"messages": [*TALK[1:4], {**TALK[4], "weight": 0}]})
    assert "1 examples have some that were marked not to be learnt" in facts.warnings[0]
