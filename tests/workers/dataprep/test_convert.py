import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.cli import CONVERT_TARGETS, console
from workers.dataprep.checks import Severity
from workers.dataprep.convert import TARGETS, convert_file, read_examples, write
from workers.dataprep.example import Example, Message
from workers.dataprep.formats import ColumnMapping
from workers.errors import UserError

steady = settings(derandomize=True, deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))

# ── generated examples ────────────────────────────────────────────────────────────────────────────────────────────────

NASTY = (
    "", " ", "=1+1", "+49", "-x", "@SUM(A1)", "\tx", "\r\nx", "a\nb", 'say "hi"', "it's", "'=1",
    "🙂👩‍👩‍👧", "\u2028\u2029",
    "a,b;c\td|e", "[{", "{}", "[]", "null", "true", "0", "﻿x", "\\n", "\\u0000", "é́", "</s>", "\x1b[0m",
    "Human: hi\n\nAssistant: ho", '{"messages": []}', "نص", "x" * 3000,
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\r\t\x1b\x85"), max_size=30),
    st.tuples(st.sampled_from(NASTY), st.sampled_from(NASTY)).map("".join),
)
filled = texts.filter(bool)
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts, st.lists(texts, max_size=2))
tool = st.sampled_from(("look_up", "send")).map(
    lambda name: {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
)
parts = st.lists(
    st.one_of(
        texts.map(lambda text: {"type": "text", "text": text}),
        st.just({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
    ),
    min_size=1,
    max_size=3,
)


def said(role, content=texts, extra=None):
    return st.builds(Message, st.just(role), content, st.just({}) if extra is None else extra)


@st.composite
def calls(draw):
    """A call of tools, what came of it, and perhaps other ids than a counter gives."""
    count = draw(st.integers(1, 2))
    ids = [draw(st.sampled_from((f"call_{number}", "abc"))) for number in range(1, count + 1)]
    made = [
        {
            "id": one,
            "type": "function",
            "function": {"name": "look_up", "arguments": json.dumps({"q": draw(texts), "n": draw(st.integers(0, 9))})},
        }
        for one in ids
    ]
    content = draw(st.one_of(st.none(), st.none(), filled))
    results = [Message("tool", draw(texts), {"tool_call_id": one}) for one in ids]
    return [Message("assistant", content, {"tool_calls": made}), *results]


@st.composite
def conversations(draw, *, simple=False):
    """Messages that end with an answer, more or less in order."""
    told = draw(st.lists(said("system"), max_size=1))
    weights = st.sampled_from(({}, {}, {"weight": 0}))
    for _ in range(draw(st.integers(0, 2))):
        told.append(draw(said("user")))
        told.append(draw(said("assistant")))
    told.append(draw(said("user", filled)))
    if not simple:
        odd = draw(st.sampled_from(("", "", "calls", "parts", "developer", "system", "name", "weight", "two")))
        if odd == "calls":
            told += draw(calls())
        elif odd == "parts":
            told[-1] = draw(said("user", parts))
        elif odd in {"developer", "system"}:
            told.insert(0, draw(said(odd)))
        elif odd == "name":
            told[-1] = Message("user", draw(texts), {"name": "anna"})
        elif odd == "weight":
            told.append(draw(said("assistant", texts, weights)))
        elif odd == "two":
            told.append(draw(said("user")))
    told.append(draw(said("assistant")))
    return tuple(told)


@st.composite
def examples(draw):
    """Examples of every kind."""
    told = draw(conversations())
    some = draw(st.sampled_from(("sft", "sft", "text", "dpo", "kto", "rft", "asked")))
    tools = draw(st.lists(tool, max_size=2))
    extra = draw(st.sampled_from(({}, {}, {"parallel_tool_calls": False}, {"id": "7"})))
    example = Example(told, tools=tools, extra=extra)
    if some == "text":
        return Example((draw(said("assistant")),))
    if some == "dpo":
        return replace(example, rejected=(draw(said("assistant")),))
    if some == "kto":
        return replace(example, label=draw(st.booleans()))
    if some == "rft":
        fields = {"target": draw(values), "numbers": [1, 2]}
        return replace(example, messages=told[:-1], turns=0, reference=fields) if told[-2].role == "user" else example
    if some == "asked":
        return replace(example, messages=(*told, Message("user", draw(texts))), turns=0)
    return example


plain_text = filled.map(lambda text: Example((Message("assistant", text),)))
pair = st.tuples(said("user", filled), said("assistant")).map(Example)
rounds = conversations(simple=True).map(
    lambda told: Example(told if told[0].role != "system" or told[0].content else told[1:])
)
preferences = st.builds(lambda example, rejected: replace(example, rejected=(rejected,)), rounds, said("assistant"))
EXPRESSIBLE = {
    "openai-chat": st.one_of(
        conversations().map(Example),
        rounds.map(
            lambda one: replace(one, messages=one.prompt, turns=0, reference={"target": 3, "numbers": [1, "a"]})
        ),
    ),
    "openai-preference": preferences,
    "prompt-completion": st.one_of(pair, plain_text),
    "azure-ml-chat": st.one_of(rounds, plain_text),
    "azure-ml-text": pair,
    "trl-chat": st.one_of(rounds, st.builds(lambda one, some: replace(one, tools=some), rounds, st.lists(tool))),
    "trl-preference": preferences,
    "autotrain-csv": st.one_of(rounds, preferences),
    "autotrain-jsonl": st.one_of(rounds, preferences),
    "alpaca": rounds,
    "sharegpt": st.builds(lambda one, some: replace(one, tools=some), rounds, st.lists(tool, max_size=2)),
    "kto": st.builds(lambda one, label: replace(one, label=label), rounds, st.booleans()),
    "text": plain_text,
}
"""Examples of which nothing may be lost."""


def same(example):
    """The example without what means nothing: its place, and how equal things are spelled."""
    return replace(
        example,
        line=0,
        messages=tuple(map(_same_message, example.messages)),
        rejected=tuple(map(_same_message, example.rejected)),
        tools=list(example.tools),
        extra=dict(example.extra),
    )


def _same_message(message):
    content, extra = message.content, dict(message.extra)
    if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
        content = content[0]["text"]
    if "tool_calls" in extra:
        content = content or None
        extra["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _value(call["function"]["arguments"])}}
            for call in extra["tool_calls"]
        ]
    return Message(message.role, content, extra)


def _value(arguments):
    return json.loads(arguments) if isinstance(arguments, str) else arguments


def there_and_back(some, target):
    """What comes back, and what was written."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.data"
        written = write([replace(one, line=line) for line, one in enumerate(some, 1)], target, out)
        return [same(one) for one in read_examples(out)], written


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_lost_that_a_target_can_express(target):
    @steady
    @given(st.lists(EXPRESSIBLE[target], min_size=1, max_size=4))
    def prove(some):
        kinds = {(bool(one.rejected), bool(one.reference), len(one.messages) == 1) for one in some}
        some = some if len(kinds) == 1 else some[:1]
        back, written = there_and_back(some, target)
        lost = [found.words for _, found in written.findings]
        assert all("formula" in words for words in lost)
        assert written.count == len(some)
        if not lost:
            assert back == [same(one) for one in some]

    prove()


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_lost_is_told(target):
    @steady
    @given(st.lists(examples(), min_size=1, max_size=4))
    def prove(some):
        try:
            back, written = there_and_back(some, target)
        except UserError as error:
            if error.user_message.startswith("Nothing can be written"):
                return
            raise
        assert all(found.check == "not_expressible" for _, found in written.findings)
        left_out = {line for line, found in written.findings if found.severity is Severity.ERROR}
        told = {line for line, _ in written.findings}
        assert len(left_out) == written.left_out
        assert written.count + written.left_out == len(some)
        kept = [line for line in range(1, len(some) + 1) if line not in left_out]
        if target == "kto":
            kept = [line for line in kept for _ in range(1 if some[line - 1].label is not None else 2)]
        assert len(back) == len(kept)
        for line, one in zip(kept, back, strict=True):
            if line not in told:
                assert one == same(some[line - 1])
            elif target != "kto":
                assert one != same(some[line - 1])

    prove()


def test_every_target_has_examples_to_prove_it_with_and_stands_in_the_help():
    assert set(EXPRESSIBLE) == set(TARGETS)
    assert CONVERT_TARGETS.replace(" or ", ", ").split(", ") == list(TARGETS)


# ── real files ────────────────────────────────────────────────────────────────────────────────────────────────────────

CHAINS = [
    (
        "foundry_gsm8k_train.jsonl",
        ["sharegpt", "alpaca", "trl-chat", "autotrain-csv", "autotrain-jsonl", "azure-ml-chat"],
    ),
    ("cookbook_drone_tools.jsonl", ["openai-chat"]),
    ("foundry_stock_toolcall.jsonl", ["trl-chat", "sharegpt"]),
    ("foundry_chartqa_vision.jsonl", ["openai-chat"]),
    ("foundry_orca_dpo_validation.jsonl", ["trl-preference", "autotrain-csv", "autotrain-jsonl"]),
    ("foundry_rft_countdown.jsonl", ["openai-chat"]),
    ("azureml_prompt_completion.jsonl", ["azure-ml-text", "alpaca", "openai-chat", "prompt-completion"]),
    ("llamafactory_alpaca_en.json", ["alpaca"]),
    ("llamafactory_glaive_toolcall_en.json", ["trl-chat", "openai-chat", "sharegpt"]),
    ("llamafactory_kto_en.json", ["kto"]),
    ("datajuicer_demo.tsv", []),
]


@pytest.mark.parametrize(("name", "chain"), CHAINS, ids=[name for name, _ in CHAINS])
def test_a_real_file_through_other_formats_and_back(data, tmp_path, name, chain):
    whole = [same(one) for one in read_examples(data / name)]
    path = data / name
    for place, target in enumerate(chain):
        out = tmp_path / f"{place}.data"
        written = convert_file(path, target, out)
        assert (written.count, written.findings) == (len(whole), ())
        path = out
    assert [same(one) for one in read_examples(path)] == whole


# ── what each target looks like ───────────────────────────────────────────────────────────────────────────────────────

ASK, SAY = Message("user", "Q"), Message("assistant", "A")
HEAD = Message("system", "S")
CALLING = Message(
    "assistant",
    None,
    {"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}]},
)
FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.fixture
def wrote(tmp_path):
    """The records of a converted file, and what was said about it."""

    def convert(example, target):
        out = tmp_path / "out"
        written = write([example], target, out)
        return [json.loads(line) for line in out.read_text().splitlines()], [
            found.words for _, found in written.findings
        ]

    return convert


@pytest.mark.parametrize(
    ("example", "target", "record"),
    [
        (Example((ASK, SAY)), "prompt-completion", {"prompt": "Q", "completion": "A"}),
        (Example((ASK, SAY)), "azure-ml-text", {"text": "Q", "ground_truth": "A"}),
        (
            Example((HEAD, ASK, SAY)),
            "azure-ml-chat",
            {
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "Q"},
                    {"role": "assistant", "content": "A"},
                ]
            },
        ),
        (
            Example((HEAD, ASK, SAY, ASK, SAY)),
            "alpaca",
            {"instruction": "Q", "input": "", "output": "A", "system": "S", "history": [["Q", "A"]]},
        ),
        (
            Example((ASK, CALLING), tools=[FUNCTION]),
            "sharegpt",
            {
                "conversations": [
                    {"from": "human", "value": "Q"},
                    {"from": "function_call", "value": '{"name":"f","arguments":{"x":1}}'},
                ],
                "tools": '[{"name":"f"}]',
            },
        ),
        (
            Example((ASK, CALLING), tools=[FUNCTION]),
            "trl-chat",
            {
                "messages": [
                    {"role": "user", "content": "Q"},
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
                        ],
                    },
                ],
                "tools": [FUNCTION],
            },
        ),
        (
            Example((ASK, SAY), rejected=(Message("assistant", "B"),)),
            "trl-preference",
            {
                "prompt": [{"role": "user", "content": "Q"}],
                "chosen": [{"role": "assistant", "content": "A"}],
                "rejected": [{"role": "assistant", "content": "B"}],
            },
        ),
        (
            Example((ASK, SAY), rejected=(Message("assistant", "B"),)),
            "openai-preference",
            {
                "input": {"messages": [{"role": "user", "content": "Q"}]},
                "preferred_output": [{"role": "assistant", "content": "A"}],
                "non_preferred_output": [{"role": "assistant", "content": "B"}],
            },
        ),
        (Example((ASK, SAY), label=False), "kto", {"prompt": "Q", "completion": "A", "label": False}),
        (Example((Message("assistant", "all of it"),)), "text", {"text": "all of it"}),
        (
            Example((ASK, SAY)),
            "autotrain-jsonl",
            {"text": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
        ),
        (
            Example((ASK,), turns=0, reference={"target": 24}),
            "openai-chat",
            {"messages": [{"role": "user", "content": "Q"}], "target": 24},
        ),
    ],
)
def test_records(wrote, example, target, record):
    assert wrote(example, target) == ([record], [])


def test_a_pair_of_answers_becomes_two_labelled_ones(wrote):
    records, lost = wrote(Example((ASK, SAY), rejected=(Message("assistant", "B"),)), "kto")
    assert [(one["completion"], one["label"]) for one in records] == [("A", True), ("B", False)]
    assert len(lost) == 1


def test_calls_written_as_objects_become_text_for_openai(wrote):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    records, _ = wrote(Example((ASK, Message("assistant", None, {"tool_calls": [call]}))), "openai-chat")
    assert records[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"x":1}'


def test_a_table_for_autotrain_runs_no_formula(tmp_path):
    out = tmp_path / "out.csv"
    some = [Example((Message("assistant", text),), line) for line, text in enumerate(("=1+1", "a\nb", 'x"y'), 1)]
    written = write(some, "autotrain-csv", out)
    with out.open(newline="") as file:
        assert list(csv.reader(file)) == [["text"], ["'=1+1"], ["a\nb"], ['x"y']]
    ((line, found),) = written.findings
    assert line == 1
    assert "formula" in found.words


@pytest.mark.parametrize(
    ("example", "target", "words"),
    [
        (Example((HEAD, ASK, SAY), 7), "prompt-completion", "The system message is not written."),
        (Example((ASK, Message("assistant", "A", {"weight": 0})), 7), "azure-ml-chat", "`weight` of a message"),
        (Example((ASK, SAY), 7, tools=[FUNCTION]), "alpaca", "The declared tools are not written."),
        (Example((ASK, SAY), 7, extra={"id": 1}), "openai-chat", "`id` of the example is not written."),
        (Example((ASK, SAY), 7, label=True), "openai-chat", "The label (wanted) is not written."),
        (Example((ASK, SAY), 7, rejected=(SAY,)), "trl-chat", "The unwanted answer is not written."),
        (Example((ASK, SAY), 7, reference={"x": 1}), "openai-chat", "The reference fields (x) are not written."),
        (Example((Message("developer", "S"), ASK, SAY), 7), "sharegpt", "written as a system message"),
    ],
)
def test_losses_in_words(tmp_path, example, target, words):
    written = write([example], target, tmp_path / "out")
    ((line, found),) = written.findings
    assert (line, found.check, found.severity, written.count) == (7, "not_expressible", Severity.WARNING, 1)
    assert words in found.words
    assert written.losses == {found.words: 1}


@pytest.mark.parametrize(
    ("example", "target", "words"),
    [
        (Example((ASK, SAY, ASK, SAY), 7), "prompt-completion", "conversation of several rounds"),
        (Example((ASK, CALLING), 7), "azure-ml-chat", "calls tools"),
        (Example((ASK, SAY), 7), "openai-preference", "no unwanted answer"),
        (Example((ASK, SAY), 7), "kto", "no label"),
        (Example((ASK, SAY), 7, label=False), "openai-chat", "labelled as unwanted"),
        (Example((ASK, SAY), 7), "text", "chat template"),
        (Example((ASK,), 7, turns=0), "openai-chat", "no answer to learn"),
        (Example((Message("user", [{"type": "image_url"}]), SAY), 7), "trl-chat", "no text (image_url)"),
        (Example((Message("villain", "x"), SAY), 7), "openai-chat", "role 'villain'"),
        (Example((ASK, Message("assistant", "\ud83d")), 7), "openai-chat", "JSON cannot hold"),
        (Example((), 7), "openai-chat", "no messages"),
    ],
)
def test_what_cannot_be_expressed_is_left_out_and_told(tmp_path, example, target, words):
    good = {
        "openai-preference": Example((ASK, SAY), rejected=(Message("assistant", "B"),)),
        "kto": Example((ASK, SAY), label=True),
        "text": Example((SAY,)),
    }.get(target, Example((ASK, SAY)))
    written = write([good, example, good], target, tmp_path / "out")
    assert (written.count, written.left_out) == (2, 1)
    ((line, found),) = written.findings
    assert (line, found.check, found.severity) == (7, "not_expressible", Severity.ERROR)
    assert words in found.words


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("what was there")
    with pytest.raises(UserError, match=r"There is no format 'parchment' to write\. There are openai-chat, "):
        write([Example((ASK, SAY))], "parchment", out)
    with pytest.raises(UserError, match=r"Nothing can be written as kto\. Left out, .* no label"):
        write([Example((ASK, SAY))], "kto", out)

    def breaking():
        yield Example((ASK, SAY))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write(breaking(), "openai-chat", out)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["what was there"]


def test_lines_that_are_no_example_are_told_when_a_file_is_converted(put, tmp_path):
    good = '{"prompt": "a", "completion": "b"}\n'
    written = convert_file(put(f"{good}\n{{broken\n{good}[]\n"), "openai-chat", tmp_path / "out")
    assert (written.count, written.left_out) == (2, 2)
    assert [(line, found.check) for line, found in written.findings] == [(3, "invalid_json"), (5, "data_type")]


def test_the_console_tells_what_is_lost(put, tmp_path):
    path = put("Frage;Antwort;Nr\n" + "".join(f"F{n};A{n};{n}\n" for n in range(1, 10)), "tickets.csv")
    out = tmp_path / "out.jsonl"
    command = ["convert", str(path), "--to", "openai-chat", "-o", str(out), "--mapping", "prompt=Frage,answer=Antwort"]
    done = CliRunner().invoke(console, command)
    assert done.exit_code == 0
    assert done.stdout.endswith("out.jsonl: 9 examples, openai-chat\n")
    told = done.stderr.splitlines()
    assert told[0] == "  warning: row 2: `Nr` of the example is not written. (not_expressible)"
    assert told[-1] == "  and 4 more: `Nr` of the example is not written."
    assert len(told) == 6
    wrong = CliRunner().invoke(console, [*command[:-1], "prompt=Frage"])
    assert wrong.exit_code == 2
    assert "answer=COLUMN" in wrong.stderr


def test_findings_are_capped_and_losses_counted(put, tmp_path):
    path = put([{"id": number, "prompt": "a", "completion": "b"} for number in range(300)])
    written = convert_file(path, "openai-chat", tmp_path / "out")
    assert (written.count, len(written.findings)) == (300, 100)
    assert written.losses == {"`id` of the example is not written.": 300}


def test_a_table_is_converted_by_its_mapping(put, tmp_path):
    path = put("Kunde,Wir,Ton\nWo?,Hier.,freundlich\n", "tickets.csv")
    out = tmp_path / "out"
    mapping = ColumnMapping("Kunde", "Wir", "Ton")
    assert convert_file(path, "openai-chat", out, mapping=mapping).findings == ()
    assert [one["content"] for one in json.loads(out.read_text())["messages"]] == ["freundlich", "Wo?", "Hier."]
    guessed = convert_file(path, "openai-chat", out)
    assert [found.check for line, found in guessed.findings if line is None] == ["guessed_columns"]
    with pytest.raises(UserError, match=r"no column Preis. Its columns are: Kunde, Wir, Ton"):
        convert_file(path, "openai-chat", out, mapping=ColumnMapping("Kunde", "Preis"))


def test_the_dataset_itself_is_never_written_over(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n')
    with pytest.raises(UserError, match="the dataset itself"):
        convert_file(path, "openai-chat", path)
    assert path.read_text() == '{"prompt": "a", "completion": "b"}\n'
