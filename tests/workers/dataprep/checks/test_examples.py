"""Checks of examples of any format: turns, answers, garbled text, calls of tools."""

import json

import pytest

from workers.dataprep.checks import EXAMPLE_CHECKS, Severity
from workers.dataprep.example import Example, Message

SYSTEM, USER, ASSISTANT = Message("system", "s"), Message("user", "q"), Message("assistant", "a")
TOOLS = [{"type": "function", "function": {"name": "add"}}]


def founds(*messages, **others):
    return [one for check in EXAMPLE_CHECKS for one in check(Example(tuple(messages), 1, **others))]


def call(name="add", arguments="{}", one="c1"):
    return Message(
        "assistant",
        None,
        {"tool_calls": [{"id": one, "type": "function", "function": {"name": name, "arguments": arguments}}]},
    )


def result(one="c1"):
    return Message("tool", "4", {"tool_call_id": one})


@pytest.mark.parametrize(
    ("messages", "check", "place", "fix"),
    [
        ([USER, Message("assistant", " \n")], "empty_answer", 2, "drop"),
        ([USER, Message("assistant", [{"type": "text", "text": " "}])], "empty_answer", 2, "drop"),
        ([USER, USER, ASSISTANT], "turn_order", 2, "join"),
        ([USER, ASSISTANT, ASSISTANT], "turn_order", 3, "join"),
        ([USER, SYSTEM, ASSISTANT], "system_not_first", 2, "reorder"),
        ([USER, ASSISTANT, USER], "ends_without_answer", 3, "trim"),
        ([USER, call(), result()], "ends_without_answer", 3, "trim"),
        ([USER, Message("assistant", "cafÃ©")], "mojibake", 2, "re-encode"),
        ([Message("user", "caf\ufffd"), ASSISTANT], "lost_character", 1, "drop"),
        ([USER, call(arguments="{'x': 1}"), result(), ASSISTANT], "tool_arguments_not_json", 2, "drop"),
        ([USER, call(arguments="[1]"), result(), ASSISTANT], "tool_arguments_not_json", 2, "drop"),
        ([USER, call("sub"), result(), ASSISTANT], "tool_not_declared", 2, "drop"),
        ([USER, call(), result("c2"), ASSISTANT], "tool_result_without_call", 3, "drop"),
        ([USER, result(), ASSISTANT], "tool_result_without_call", 2, "drop"),
        ([USER, Message("function", "4", {"name": "f"}), ASSISTANT], "tool_result_without_call", 2, "drop"),
        ([USER, call(), USER, ASSISTANT], "tool_call_without_result", 2, "drop"),
    ],
)
def test_a_finding_is_where_it_belongs(messages, check, place, fix):
    found = founds(*messages, tools=TOOLS)[0]
    assert (found.check, found.message, found.fix) == (check, place, fix)
    assert found.words.endswith(".")


@pytest.mark.parametrize(
    "messages",
    [
        [SYSTEM, USER, ASSISTANT, USER, ASSISTANT],
        [Message("developer", "d"), SYSTEM, USER, ASSISTANT],
        [USER, call(), result(), ASSISTANT],
        [USER, call(), result(), call(one="c2")],
        [USER, Message("assistant", "Let me see."), call(), result(), ASSISTANT],
        [USER, Message("assistant", "", {"refusal": "No."})],
        [Message("user", "q", {"name": "ann"}), Message("user", "q", {"name": "bob"}), ASSISTANT],
        [Message("user", [{"type": "image_url", "image_url": {"url": "u"}}]), USER, ASSISTANT],
        [Message("user", "Übrigens: naïve, «É»"), ASSISTANT],
        [USER],
        [],
    ],
)
def test_what_is_right(messages):
    assert founds(*messages, tools=TOOLS, turns=min(1, len(messages))) == []


def test_two_answers_that_are_the_same():
    (found,) = founds(USER, ASSISTANT, rejected=(Message("assistant", "a "),))
    assert (found.check, found.severity, found.fix) == ("rejected_equals_chosen", Severity.ERROR, "drop")
    assert founds(USER, ASSISTANT, rejected=(Message("assistant", "b"),)) == []
    (found,) = founds(USER, ASSISTANT, rejected=(Message("assistant", " "),))
    assert found.check == "empty_answer"


def test_a_prompt_for_reinforcement_may_end_with_the_user():
    assert founds(USER, ASSISTANT, USER, turns=0, reference={"target": 3}) == []


def test_tools_that_nobody_declares_may_be_called():
    assert founds(USER, call("sub"), result(), ASSISTANT) == []
    old = {"functions": [{"name": "add"}]}
    said = founds(USER, Message("assistant", None, {"function_call": {"name": "sub", "arguments": "{}"}}), extra=old)
    assert [one.check for one in said] == ["tool_not_declared"]


def test_odd_shapes_break_no_check():
    for odd in (None, 3, "x", [], {}, [None], [[]], [{}], [{"id": 3}], [{"function": 3}], [{"function": {"name": []}}]):
        founds(USER, Message("assistant", None, {"tool_calls": odd}), Message("tool", "x", {"tool_call_id": odd}))
        founds(USER, Message("assistant", "a", {"function_call": odd}), extra={"functions": odd})
    founds(USER, ASSISTANT, tools=[{"function": None}, {}, {"function": {"name": 3}}])


def test_arguments_are_shown_with_the_place_marked():
    found = founds(USER, call(arguments=json.dumps(["x"])), result(), ASSISTANT)[0]
    assert found.excerpt == '»["x"]«'
