"""Ours and OpenAI's own schemas agree, line by line; where they do not, the reason stands here."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from workers.dataprep import formats, source
from workers.dataprep.checks import Severity

CHAT, PREFERENCE, PAIR = "FineTuneChatRequestInput", "FineTunePreferenceRequestInput", "FineTuneCompletionRequestInput"
FILES = {
    "azure_tutorial_training_set.jsonl": CHAT,
    "cookbook_toy_chat.jsonl": CHAT,
    "cookbook_drone_tools.jsonl": CHAT,
    "foundry_gsm8k_train.jsonl": CHAT,
    "foundry_gsm8k_validation.jsonl": CHAT,
    "foundry_stock_toolcall.jsonl": CHAT,
    "foundry_chartqa_vision.jsonl": CHAT,
    "foundry_rft_countdown.jsonl": CHAT,
    "foundry_orca_dpo_validation.jsonl": PREFERENCE,
    "azureml_prompt_completion.jsonl": PAIR,
}


def mended(value):
    """The schemas without their known defects: OpenAPI 3.0's `nullable`, and a boolean `exclusiveMinimum`."""
    if isinstance(value, list):
        return [mended(one) for one in value]
    if not isinstance(value, dict):
        return value
    value = {key: mended(one) for key, one in value.items()}
    if value.get("exclusiveMinimum") is True:
        value["exclusiveMinimum"] = value.pop("minimum")
    return {"anyOf": [value, {"type": "null"}]} if value.pop("nullable", False) is True else value


@pytest.fixture(scope="module")
def official():
    path = Path(__file__).resolve().parents[3] / "data" / "openai-dataset-lines.json"
    whole = mended(json.loads(path.read_text(encoding="utf-8")))
    jsonschema.Draft202012Validator.check_schema(whole["components"]["schemas"][CHAT])

    validators = {
        name: jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **whole})
        for name in (CHAT, PREFERENCE, PAIR)
    }
    return lambda name, record: validators[name].is_valid(record)


def ours_accept(record):
    problems = formats.chat.OpenAIChat().problems(record)
    return not any(one.severity is Severity.ERROR for one in problems)


@pytest.mark.parametrize(("file", "schema"), FILES.items())
def test_every_line_of_the_real_files_passes_both(data, official, file, schema):
    with source.opened(data / file) as opened:
        detected = formats.detect(opened)
        count = 0
        for line, raw in formats.lines(opened):
            record = json.loads(raw)
            errors = [one for one in detected.format.problems(record) if one.severity is Severity.ERROR]
            assert errors == [], line
            assert official(schema, record), line
            count += 1
    assert count >= 5


CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
WHOLE = {
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "weight": 0},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        {"role": "assistant", "content": "a", "weight": 1, "refusal": None},
    ],
    "tools": [TOOL],
    "parallel_tool_calls": False,
}
ABSENT = object()


def changed(path, value):
    record = copy.deepcopy(WHOLE)
    *way, last = path
    place = record
    for step in way:
        place = place[step]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return record


def test_the_whole_record_passes_both(official):
    assert ours_accept(WHOLE)
    assert official(CHAT, WHOLE)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["messages"], []),
        (["messages"], "hello"),
        (["messages"], {}),
        (["messages", 0], "hello"),
        (["messages", 0], None),
        (["messages", 0, "role"], ABSENT),
        (["messages", 0, "role"], "human"),
        (["messages", 0, "role"], 3),
        (["messages", 0, "role"], None),
        (["messages", 0, "content"], ABSENT),
        (["messages", 0, "content"], None),
        (["messages", 0, "content"], 3),
        (["messages", 0, "content"], []),
        (["messages", 0, "content"], [{"type": "image_url", "image_url": {"url": "u"}}]),
        (["messages", 0, "name"], 3),
        (["messages", 1, "content"], {"type": "text", "text": "q"}),
        (["messages", 1, "content", 0], "q"),
        (["messages", 1, "content", 0, "type"], "words"),
        (["messages", 1, "content", 0, "type"], ABSENT),
        (["messages", 1, "content", 0, "text"], ABSENT),
        (["messages", 1, "content", 0, "text"], None),
        (["messages", 1, "content", 1, "image_url"], "u"),
        (["messages", 1, "content", 1, "image_url"], {}),
        (["messages", 1, "content", 1, "image_url", "detail"], "huge"),
        (["messages", 1, "content", 1], {"type": "input_audio", "input_audio": {"data": "x", "format": "ogg"}}),
        (["messages", 1, "content", 1], {"type": "file", "file": "x"}),
        (["messages", 2, "weight"], 2),
        (["messages", 2, "weight"], 0.5),
        (["messages", 2, "weight"], "1"),
        (["messages", 2, "weight"], True),
        (["messages", 2, "tool_calls"], CALL),
        (["messages", 2, "tool_calls", 0], "add"),
        (["messages", 2, "tool_calls", 0, "id"], ABSENT),
        (["messages", 2, "tool_calls", 0, "type"], ABSENT),
        (["messages", 2, "tool_calls", 0, "type"], "tool"),
        (["messages", 2, "tool_calls", 0, "function"], ABSENT),
        (["messages", 2, "tool_calls", 0, "function", "name"], ABSENT),
        (["messages", 2, "tool_calls", 0, "function", "arguments"], {}),
        (["messages", 2, "function_call"], {"name": "add"}),
        (["messages", 2, "function_call"], "add"),
        (["messages", 3, "tool_call_id"], ABSENT),
        (["messages", 3, "tool_call_id"], 1),
        (["messages", 3, "content"], ABSENT),
        (["messages", 3, "content"], None),
        (["messages", 3, "role"], "function"),
        (["messages", 4, "content"], 3),
        (["messages", 4, "content"], []),
        (["messages", 4, "content"], [{"type": "image_url", "image_url": {"url": "u"}}]),
        (["messages", 4, "refusal"], 1),
        (["messages", 4, "name"], []),
        (["tools"], {}),
        (["tools", 0], "add"),
        (["tools", 0, "type"], ABSENT),
        (["tools", 0, "type"], "tool"),
        (["tools", 0, "function"], ABSENT),
        (["tools", 0, "function", "name"], ABSENT),
        (["tools", 0, "function", "name"], 3),
        (["tools", 0, "function", "parameters"], []),
        (["tools", 0, "function", "description"], 3),
        (["tools", 0, "function", "strict"], "yes"),
        (["parallel_tool_calls"], "no"),
        (["functions"], []),
        (["functions"], [{}]),
        (["functions"], [{"name": "f"}] * 129),
    ],
)
def test_both_refuse(official, path, value):
    record = changed(path, value)
    assert not official(CHAT, record)
    assert not ours_accept(record)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["messages", 0, "name"], "bob"),
        (["messages", 0, "content"], [{"type": "text", "text": "s"}]),
        (["messages", 1, "content"], "plain"),
        (["messages", 1, "content", 1, "image_url", "detail"], "high"),
        (["messages", 1, "content", 1], {"type": "file", "file": {"file_id": "f"}}),
        (["messages", 1, "content", 1], {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}),
        (["messages", 2, "content"], ABSENT),
        (["messages", 2, "content"], ""),
        (["messages", 2, "tool_calls"], [CALL, {**CALL, "id": "c2"}]),
        (["messages", 2, "tool_calls", 0, "function", "arguments"], "no JSON: that is another check's"),
        (["messages", 4, "content"], [{"type": "text", "text": "a"}]),
        (["messages", 4, "weight"], ABSENT),
        (["tools"], []),
        (["tools"], ABSENT),
        (["tools", 0, "function", "strict"], None),
        (["functions"], [{"name": "f"}]),
        (["parallel_tool_calls"], ABSENT),
    ],
)
def test_both_accept(official, path, value):
    record = changed(path, value)
    assert official(CHAT, record)
    assert ours_accept(record)


STRICTER = [
    (["messages"], ABSENT, "the schema requires no key at all, but there is nothing to train on"),
    (["messages", 4, "note"], "x", "the schema leaves other keys open; the cookbook's check, and OpenAI's own, do not"),
    (["messages", 0, "content"], "", "the cookbook calls empty content missing"),
    (["messages", 4, "content"], ABSENT, "an assistant without content and calls teaches nothing"),
    (["messages", 4, "content"], None, "likewise with null"),
    (["messages", 4, "content"], "", "likewise with nothing in it"),
    (["messages", 4], {"role": "assistant", "content": None, "tool_calls": []}, "likewise with an empty list of calls"),
    (["messages"], [{"role": "user", "content": "q"}], "the cookbook wants an assistant's message to learn"),
    (["messages", 1, "content", 1, "image_url", "url"], " ", "a picture without address cannot be fetched"),
]
LAXER = [
    (["messages", 0, "role"], "developer", "the schema is older than the role, which replaces system in newer models"),
    (["messages", 0, "name"], None, "software writes null for a name that is not there"),
    (["messages", 4, "weight"], None, "likewise for a weight"),
    (["messages", 2, "tool_calls"], None, "likewise for calls, where another message calls"),
    (["messages", 3, "content"], [{"type": "image_url", "image_url": {"url": "u"}}], "tools may return pictures today"),
    (["tools"], None, "likewise for tools"),
    (["parallel_tool_calls"], None, "likewise for this setting"),
    (["functions"], None, "likewise for functions"),
]


@pytest.mark.parametrize(("path", "value", "reason"), STRICTER)
def test_ours_are_stricter(official, path, value, reason):
    record = changed(path, value)
    assert official(CHAT, record), reason
    assert not ours_accept(record), reason


@pytest.mark.parametrize(("path", "value", "reason"), LAXER)
def test_ours_are_laxer(official, path, value, reason):
    record = changed(path, value)
    if path == ["messages", 2, "tool_calls"]:
        record["messages"][2]["content"] = "text"
    assert not official(CHAT, record), reason
    assert ours_accept(record), reason
