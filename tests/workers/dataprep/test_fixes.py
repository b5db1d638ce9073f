"""Fixes: a new file without what was to be mended, everything else as it was, and a summary with a diff."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.dataprep import fixes, formats, judge, source
from workers.dataprep.checks import PRIVATE_CHECKS
from workers.dataprep.checks.catalogue import fixable
from workers.dataprep.checks.whole import Tallies
from workers.errors import UserError

USER = {"role": "user", "content": "2 + 2?"}
ASSISTANT = {"role": "assistant", "content": "4"}
SYSTEM = {"role": "system", "content": "Reckon."}
GOOD = {"messages": [SYSTEM, USER, ASSISTANT]}
TOKEN = "ghp_" + "9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX"
ALL = fixable()
TURNS = {"turn_order", "system_not_first", "ends_without_answer"}
"""Left alone in records that are broken otherwise, so that nothing of these is lost."""


@pytest.fixture
def fixed(put, tmp_path):
    """Fix such a file; its summary and its records."""

    def fix(content, *wanted, drop=(), name="file.jsonl"):
        path = put(content, name)
        before = path.read_bytes()
        out = tmp_path / "fixed.jsonl"
        with source.opened(path) as opened:
            summary = fixes.apply(opened, formats.detect(opened), wanted, drop, out)
        assert path.read_bytes() == before
        return summary, [json.loads(line) for line in out.read_bytes().splitlines()]

    return fix


def found_in(path):
    """The names of everything that is found in a file."""
    names = set()
    tallies = Tallies()
    with source.opened(path) as opened:
        detected = formats.detect(opened)
        for line, raw in formats.lines(opened):
            judged = judge.line(raw, detected, line)
            names |= {one.check for one in judged.founds} - (TURNS if judged.has_error else set())
            if judged.example is not None:
                names |= {one.check for check in PRIVATE_CHECKS for one in check(judged.example)}
                tallies.add(line, judged.example)
        names |= {one.check for one in tallies.findings(detected.format.method)}
        names |= {found.check for _, found in opened.findings}
    return names


def chat(*messages, **others):
    return {"messages": list(messages), **others}


@pytest.mark.parametrize(
    ("check", "messages", "mended"),
    [
        ("message_unrecognized_key", [USER, {**ASSISTANT, "x": 1}], [USER, ASSISTANT]),
        ("bad_weight", [{**USER, "weight": 1}, {**ASSISTANT, "weight": 7}], [USER, ASSISTANT]),
        ("turn_order", [USER, USER, ASSISTANT], [{**USER, "content": "2 + 2?\n\n2 + 2?"}, ASSISTANT]),
        ("system_not_first", [USER, SYSTEM, ASSISTANT], [SYSTEM, USER, ASSISTANT]),
        ("ends_without_answer", [USER, ASSISTANT, USER, USER], [USER, ASSISTANT]),
        ("mojibake", [USER, {**ASSISTANT, "content": "cafÃ©"}], [USER, {**ASSISTANT, "content": "café"}]),
        (
            "secret",
            [{**USER, "content": f"is {TOKEN}"}, ASSISTANT],
            [{**USER, "content": "is [removed: GitHub token]"}, ASSISTANT],
        ),
        (
            "personal_data",
            [{**USER, "content": [{"type": "text", "text": "anna@firma.de"}]}, ASSISTANT],
            [{**USER, "content": [{"type": "text", "text": "[removed: e-mail address]"}]}, ASSISTANT],
        ),
    ],
)
def test_a_record_is_mended(fixed, check, messages, mended):
    summary, records = fixed([GOOD, chat(*messages, note="kept"), GOOD], check)
    assert records == [GOOD, chat(*mended, note="kept"), GOOD]
    assert (summary.kept, summary.dropped, summary.changed, summary.by_check) == (3, 0, 1, {check: 1})
    (difference,) = summary.differences
    assert (difference.line, difference.check) == (2, check)
    assert difference.before != difference.after


@pytest.mark.parametrize(
    ("check", "record"),
    [
        ("missing_messages_list", {"messages": []}),
        ("data_type", chat(USER, 3, ASSISTANT)),
        ("message_missing_key", chat(USER, {"role": "assistant"})),
        ("unrecognized_role", chat({**USER, "role": "human"}, ASSISTANT)),
        ("missing_content", chat(USER, {**ASSISTANT, "content": ""})),
        ("example_missing_assistant_message", chat(USER)),
        ("empty_answer", chat(USER, {**ASSISTANT, "content": " "})),
        ("lost_character", chat(USER, {**ASSISTANT, "content": "caf\ufffd"})),
        ("nothing_to_learn", chat(USER, {**ASSISTANT, "weight": 0})),
        ("bad_tool", chat(USER, ASSISTANT, tools=[{}])),
        ("other_format", {"prompt": "a", "completion": "b"}),
    ],
)
def test_a_record_is_left_out(fixed, check, record):
    summary, records = fixed([GOOD, record, GOOD], check)
    assert records == [GOOD, GOOD]
    assert (summary.kept, summary.dropped, summary.by_check[check]) == (2, 1, 1)
    assert (summary.differences[0].line, summary.differences[0].after) == (2, "")


def test_what_nobody_asked_to_mend_stays_byte_for_byte(put, tmp_path):
    lines = [
        b'{"messages": [{"role":"user","content":"\\u00e9"},{"role":"assistant","content":"caf\xc3\x83\xc2\xa9"}]}',
        b'{"messages": [ {"role":"user","content":"q", "x": 1},  {"role":"assistant","content":"a"} ] , "n": 1.0}',
        b"not JSON",
        b'{"messages": 3}',
    ]
    path = put(b"\n".join(lines[:2]) + b"\r\n\n" + b"\n".join(lines[2:]))
    out = tmp_path / "out.jsonl"
    with source.opened(path) as opened:
        summary = fixes.apply(opened, formats.detect(opened), ["secret"], [], out)
    assert out.read_bytes().splitlines() == lines
    assert (summary.kept, summary.changed, summary.dropped, summary.differences) == (4, 0, 0, ())


def test_broken_records_lose_nothing_else_when_their_texts_are_mended(fixed):
    broken = chat(USER, "not a message", {**ASSISTANT, "content": f"It is {TOKEN}."}, USER)
    _, records = fixed([GOOD, broken], "secret", "ends_without_answer")
    assert records[1]["messages"] == [
        USER,
        "not a message",
        {**ASSISTANT, "content": "It is [removed: GitHub token]."},
        USER,
    ]


def test_lines_that_cannot_be_read(put, tmp_path):
    text = json.dumps(GOOD).encode()
    latin = text.replace(b"Reckon", b"R\xe9ckon")
    in_place = source.Source(put(b"\n".join([text, b"{nonsense", latin, text])))
    out = tmp_path / "out.jsonl"
    summary = fixes.apply(in_place, formats.detect(in_place), ["invalid_json", "invalid_utf8"], [], out)
    mended = chat({**SYSTEM, "content": "Réckon."}, USER, ASSISTANT)
    assert list(map(json.loads, out.read_bytes().splitlines())) == [GOOD, mended, GOOD]
    assert summary.by_check == {"invalid_json": 1, "invalid_utf8": 1}


def test_lines_that_the_engine_names(fixed):
    summary, records = fixed([GOOD, GOOD, chat(USER, ASSISTANT)], drop={2: "near_duplicate"})
    assert records == [GOOD, chat(USER, ASSISTANT)]
    assert summary.by_check == {"near_duplicate": 1}
    assert fixed([GOOD, GOOD], drop=[2])[0].by_check == {"exact_duplicate": 1}


def test_what_is_odd_only_among_the_others(fixed):
    answers = ['{"a": 1}'] * 60
    answers[9] = "none"
    some = [
        chat({**USER, "content": f"{number}?"}, {**ASSISTANT, "content": one}) for number, one in enumerate(answers)
    ]
    summary, records = fixed(some, "not_json")
    assert records == some[:9] + some[10:]
    assert summary.by_check == {"not_json": 1}


def test_only_fifty_differences_are_shown(fixed):
    summary, _ = fixed([GOOD] + [chat(USER, USER, ASSISTANT)] * 80, "turn_order")
    assert (summary.changed, len(summary.differences)) == (80, fixes.MOST_DIFFERENCES)


def test_a_check_without_a_fix_is_refused_in_words(fixed, tmp_path):
    with pytest.raises(UserError, match="There is no fix for missing_system_message"):
        fixed([GOOD], "missing_system_message")
    assert not list(tmp_path.glob("*fixed*"))


def test_other_formats_stay_what_they_are(fixed):
    alpaca = {"instruction": f"Use {TOKEN}", "input": "", "output": "ok", "id": 3}
    summary, records = fixed([alpaca], "secret")
    assert records == [{**alpaca, "instruction": "Use [removed: GitHub token]"}]
    assert summary.format == "alpaca"
    turns = [{"from": "human", "value": "a"}, {"from": "human", "value": "b"}, {"from": "gpt", "value": "c"}]
    _, records = fixed([{"conversations": turns, "id": 1}], "turn_order")
    assert records == [{"conversations": [{"from": "human", "value": "a\n\nb"}, turns[2]], "id": 1}]
    same = {"input": {"messages": [USER]}, "preferred_output": [ASSISTANT], "non_preferred_output": [ASSISTANT]}
    other = {**same, "non_preferred_output": [{**ASSISTANT, "content": "5"}]}
    assert fixed([same, other], "rejected_equals_chosen")[1] == [other]
    rft = {"messages": [USER], "target": "anna@firma.de"}
    assert fixed([rft, {**rft, "target": 4}], "personal_data")[1][0]["target"] == "[removed: e-mail address]"


def test_a_table_becomes_what_its_mapping_says(fixed):
    rows = "frage,antwort,nr\nWer?,anna@firma.de,1\nWo?,Hier,2\n"
    summary, records = fixed(rows, "personal_data", name="table.csv")
    assert summary.format == "openai-chat"
    assert [one["messages"][-1]["content"] for one in records] == ["[removed: e-mail address]", "Hier"]


def test_rows_that_could_not_be_read_are_counted(fixed):
    rows = "prompt,completion\nWho?,I\nWhat?,this,that\nWhere?,here\n"
    summary, records = fixed(rows, "ragged_row", name="table.csv")
    assert [one["prompt"] for one in records] == ["Who?", "Where?"]
    assert summary.by_check == {"ragged_row": 1}


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{'a'"}}
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "user", "assistant", "assistant", "tool", "human"])},
    optional={
        "content": st.sampled_from(
            [
                *(
                    "4",
                    "2 + 2?",
                    "",
                    " ",
                    None,
                    "cafÃ©",
                    f"{TOKEN} anna@firma.de",
                    "caf\ufffd",
                    "+49 30 1234567",
                    "ÃƒÂ©",
                ),
                *("password: Tr0ub4dor&3x", [{"type": "text", "text": "81.2.69.142"}], [{"type": "x"}], 7, '{"a": 1}'),
            ]
        ),
        "x": st.just(TOKEN),
        "weight": st.sampled_from([0, 1, 2, "1"]),
        "tool_calls": st.just([CALL]),
        "tool_call_id": st.just("c"),
    },
)
records = st.lists(
    st.one_of(
        st.builds(lambda some: {"messages": some}, st.lists(messages, max_size=5)),
        st.just(GOOD),
        st.just({"messages": [USER, ASSISTANT], "note": "anna@firma.de"}),
        st.sampled_from([{}, 3, {"messages": {}}, {"prompt": "a"}]),
    ),
    max_size=8,
)


@given(some=records, wanted=st.one_of(st.just(ALL), st.sets(st.sampled_from(sorted(ALL)), max_size=6)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_mended_is_not_found_again(put, tmp_path, some, wanted):
    path = put([GOOD, *some, *[GOOD] * 9])
    out = tmp_path / "out.jsonl"
    with source.opened(path) as opened:
        summary = fixes.apply(opened, formats.detect(opened), wanted, [], out)
    assert summary.kept + summary.dropped == len(some) + 10
    assert summary.kept == len(out.read_bytes().splitlines())
    assert found_in(out) & set(wanted) == set()
    if not summary.by_check:
        assert out.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "foundry_orca_dpo_validation.jsonl",
        "llamafactory_alpaca_en.json",
        "llamafactory_glaive_toolcall_en.json",
        "llamafactory_kto_en.json",
        "axolotl_missing_turns.json",
    ],
)
def test_real_files_without_what_was_found(data, tmp_path, name):
    out = tmp_path / "out.jsonl"
    with source.opened(data / name) as opened:
        detected = formats.detect(opened)
        summary = fixes.apply(opened, detected, ALL, [], out)
    assert summary.by_check
    assert summary.format == detected.format.id
    assert not out.read_bytes() or found_in(out) <= {"missing_system_message"}


@pytest.mark.parametrize("spelt", [TOKEN, TOKEN.replace("g", "\\u0067")])
def test_a_difference_shows_neither_what_was_taken_out_nor_what_stays(fixed, spelt):
    line = json.dumps(chat({**USER, "content": "is KEY of anna@firma.de"}, ASSISTANT)).replace("KEY", spelt)
    broken = '{"messages": "' + spelt + "\n"
    summary, _ = fixed((line + "\n" + broken).encode(), "secret", "invalid_json")
    (mended, dropped) = summary.differences
    assert "is [hidden: GitHub token] of [hidden: e-mail address]" in mended.before
    assert "is [removed: GitHub token] of [hidden: e-mail address]" in mended.after
    assert "[hidden: GitHub token]" in dropped.before
    assert TOKEN not in str(summary)


def test_a_difference_of_a_huge_record_shows_no_half_of_a_key(fixed):
    text = ("x" * 59 + "\n") * 1000 + TOKEN + " " + "y " * 20_000
    summary, _ = fixed([chat({**USER, "content": text}, {**ASSISTANT, "x": 1})] * 2, "message_unrecognized_key")
    assert TOKEN[:12] not in str(summary)
