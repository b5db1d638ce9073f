"""Lines with tools: the quick way and the exact way must say the same of each, whole or broken."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.dataprep import calling, json_structure, quick

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": 'The "real" weather, °C',
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"function": {"name": "time", "strict": True, "parameters": {}}, "type": "function"}
TOOLS = [
    [WEATHER, TIME], [TIME], [WEATHER], [], None, "text", {}, [{"type": "function"}], [{**TIME, "type": "code"}], [1],
    [WEATHER, {"type": "function", "function": {"name": "time", "parameters": {"most": 10**30}}}],
    [WEATHER, {"type": "function", "function": {"name": "time", "parameters": {"most": 1e300, "least": -0.5}}}],
    [WEATHER, {"type": "function", "function": {"name": "time", "description": "a NUL \x00"}}],
]  # fmt: skip
ARGUMENTS = [
    '{"city": "Paris"}', "{}", ' {"a": {"b": [1, 2]}}', '{"city": "\\"Paris\\", C:\\\\temp\\\\"}', '{"a": 1, "a": 2}',
    '{"city": 5, "other": null}', '{"key": "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"}', "[1]", "{", "", "null",
    '{"mail": "jane.doe@mail-server.org"}', '{"text": "It’s cafÃ© and â€œquotedâ€\x9d"}',
    '{"a": "\\u0000"}', '{"n": NaN}',
]  # fmt: skip
TEXTS = ["Hello there.", 'He said "no" \\ "yes".', "naïve 漢字 👩‍🚀", "It’s cafÃ©", "  ", "", "a NUL \x00", None]
ODD = [None, 1, 0, True, "", " ", "x", "time", "assistant", "tool", "function", [], {}, ["x"], {"type": "text"}]
KEYS = ["name", "weight", "refusal", "function_call", "tool_calls", "tool_call_id", "functions", "tools", "extra", "id"]


def parts(value):
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(one)


@st.composite
def conversations(draw, *, whole=False):
    """A conversation with calls; in one that is not whole some may be wrong."""
    some = st.sampled_from
    wrong = st.just(False) if whole else some([False] * 9 + [True])
    text = some(TEXTS[:3])
    messages = [{"role": draw(some(["system", "developer"])), "content": draw(text)}] if draw(st.booleans()) else []
    for number in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(text)})
        if draw(st.booleans()):
            ids = [f"call_{number}_{place}" + "\x00" * draw(wrong) for place in range(draw(st.integers(1, 3)))]
            ids[-1] = ids[0] if draw(wrong) else ids[-1]
            calls = []
            for one in ids:
                name = draw(some(["forecast"] if draw(wrong) else ["time"]))
                arguments = draw(some(ARGUMENTS if draw(wrong) else ARGUMENTS[:4]))
                function = {"name": name, "arguments": arguments}
                calls.append({"id": one, "type": "function", "function": function})
            said = draw(some([{}, {"content": None}, {"content": ""}, {"content": " " if draw(wrong) else "Hm."}]))
            messages.append({"role": "assistant", **said, "tool_calls": calls})
            if draw(wrong):
                break
            answers = [
                {"role": "tool", "tool_call_id": one, "content": draw(text)} for one in draw(st.permutations(ids))
            ]
            messages += answers
        messages.append({"role": "assistant", "content": draw(text)})
    record = {"messages": messages, "tools": draw(some(TOOLS if draw(wrong) else TOOLS[:2]))}
    if draw(st.booleans()):
        record["parallel_tool_calls"] = draw(st.booleans())
    return json.loads(json.dumps(record))


@st.composite
def broken(draw, records=conversations()):  # noqa: B008 -- a strategy
    """The line of a conversation, with some things taken out, put in or changed in it."""
    record = draw(records)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        one = draw(st.sampled_from(list(parts(record))))
        odd = json.loads(draw(st.sampled_from([json.dumps(value) for value in ODD + TEXTS + ARGUMENTS])))
        change = draw(
            st.sampled_from(["leave out", "change", "add", "turn round", "a message less", "a message more", "swapped"])
        )
        key = draw(st.sampled_from(list(one) or ["x"]))
        if change == "leave out":
            one.pop(key, None)
        elif change == "change":
            one[key] = odd
        elif change == "add":
            one[draw(st.sampled_from(KEYS))] = odd
        elif change == "turn round":
            for name in reversed(list(one)):
                one[name] = one.pop(name)
        elif isinstance(record.get("messages"), list) and record["messages"]:
            messages = record["messages"]
            at, other = (draw(st.integers(0, len(messages) - 1)) for _ in range(2))
            if change == "a message less":
                del messages[at]
            elif change == "a message more":
                messages.insert(at, json.loads(json.dumps(messages[other])))
            else:
                messages[at], messages[other] = messages[other], messages[at]
    tight = draw(st.booleans())
    line = json.dumps(record, ensure_ascii=draw(st.booleans()), separators=(",", ":") if tight else None)
    if '":' in line and draw(st.sampled_from([False, False, True])):
        keys = [at for at in range(len(line)) if line.startswith('":', at)]
        at = draw(st.sampled_from(keys))
        start = line.rfind('"', 0, at)
        value = draw(st.sampled_from(["0", "null", '"x"', '{"a": 1}', '"\\"', "[]"]))
        line = f'{line[:start]}{line[start:at]}":{value},{line[start:]}'
    return line


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(broken(), min_size=1, max_size=8), st.sampled_from([40, 4096]))
def test_the_quick_way_says_what_the_exact_way_says(tmp_path_factory, both, lines, context):
    path = tmp_path_factory.mktemp("calling") / "data.jsonl"
    plain = {"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}]}
    path.write_text("\n".join([json.dumps(plain)] * 10 + lines) + "\n", encoding="utf-8", errors="surrogatepass")
    both(path, context=context)


def changed():
    """Conversations with one thing changed in each."""
    calls = [
        {"id": one, "type": "function", "function": {"name": "time", "arguments": "{}"}} for one in ("call_1", "call_2")
    ]
    whole = {
        "messages": [
            {"role": "user", "content": "When is it?"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_2", "content": "2"},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
            {"role": "assistant", "content": "It is both."},
        ],
        "tools": [TIME, WEATHER],
        "parallel_tool_calls": True,
    }
    told = whole["messages"]
    yield whole
    for at, one in enumerate(told):
        yield {**whole, "messages": told[:at] + told[at + 1 :]}
        yield {**whole, "messages": told[at + 1 :] + told[at::-1]}
        for other in range(len(told)):
            yield {**whole, "messages": [*told[:other], one, *told[other:]]}
    for number, part in enumerate(parts(whole)):
        for key in part:
            for value in [*ODD, *TEXTS, *ARGUMENTS, "call_1", "user", "developer", "system", "weather"]:
                made = json.loads(json.dumps(whole))
                list(parts(made))[number][key] = value
                yield made


def test_so_they_do_of_every_single_change(tmp_path, both):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in changed()))
    both(path)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(conversations(whole=True), min_size=1, max_size=4))
def test_every_whole_conversation_is_proven(records):
    lines = [json.dumps(one).encode() for one in records]
    _, others = quick.prove("openai-chat", b"\n".join(lines), lines)
    assert others == []


@pytest.mark.parametrize("name", ["foundry_stock_toolcall.jsonl", "cookbook_drone_tools.jsonl"])
def test_so_is_every_line_of_a_real_file(data, both, name):
    raw = (data / name).read_bytes()
    lines = raw.splitlines()
    _, others = quick.prove("openai-chat", raw, lines)
    assert others == []
    both(data / name)


def test_every_quote_that_begins_or_ends_a_text_counts():
    for value in ["", "a", '"', "\\", '\\"', '\\\\"', '"\\', "\n", ["\\", '"'], {'"': "\\\\"}]:
        wanted = json.dumps(value).replace("\\\\", "").replace('\\"', "").count('"')
        assert json_structure.quotes(json.dumps(value).encode()) == wanted


def test_a_line_of_one_kind_of_tools_is_judged_once():
    line = json.dumps(
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}], "tools": [TIME]}
    )
    calling._declared.cache_clear()
    for _ in range(3):
        assert calling.prove(line.encode())
    assert calling._declared.cache_info().misses == 1
