"""Checks of raw chat records: the cookbook's, by its names, and what has come since."""

import pytest

from workers.dataprep.checks import CHAT_CHECKS, Severity

USER = {"role": "user", "content": "2 + 2?"}
ASSISTANT = {"role": "assistant", "content": "4"}
SYSTEM = {"role": "system", "content": "Reckon."}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
COOKBOOK = {
    "data_type",
    "missing_messages_list",
    "message_missing_key",
    "message_unrecognized_key",
    "unrecognized_role",
    "missing_content",
    "example_missing_assistant_message",
}


def founds(record):
    return [one for check in CHAT_CHECKS for one in check(record)]


def of(*messages, **others):
    return founds({"messages": list(messages), **others})


@pytest.mark.parametrize(
    ("record", "check", "message"),
    [
        ({}, "missing_messages_list", None),
        ({"messages": None}, "missing_messages_list", None),
        ({"messages": []}, "missing_messages_list", None),
        ({"messages": "hello"}, "missing_messages_list", None),
        ({"messages": [SYSTEM, USER, "hello", ASSISTANT]}, "data_type", 3),
        ({"messages": [SYSTEM, USER, [], ASSISTANT]}, "data_type", 3),
        ({"messages": [SYSTEM, {**USER, "name": 3}, ASSISTANT]}, "data_type", 2),
        ({"messages": [SYSTEM, {"content": "x"}, USER, ASSISTANT]}, "message_missing_key", 2),
        ({"messages": [SYSTEM, USER, {"role": "assistant"}]}, "message_missing_key", 3),
        ({"messages": [SYSTEM, USER, {"role": "tool", "content": "4"}, ASSISTANT]}, "message_missing_key", 3),
        ({"messages": [SYSTEM, USER, {"role": "function", "content": "4"}, ASSISTANT]}, "message_missing_key", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "colour": "blue"}]}, "message_unrecognized_key", 3),
        ({"messages": [SYSTEM, {**USER, "role": "human"}, USER, ASSISTANT]}, "unrecognized_role", 2),
        ({"messages": [SYSTEM, USER, {**USER, "role": {}}, ASSISTANT]}, "unrecognized_role", 3),
        ({"messages": [SYSTEM, USER, {**USER, "role": None}, ASSISTANT]}, "unrecognized_role", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "content": ""}]}, "missing_content", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "content": None}]}, "missing_content", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "content": []}]}, "missing_content", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "content": 4}]}, "missing_content", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "content": {"type": "text"}}]}, "missing_content", 3),
        ({"messages": [SYSTEM, USER]}, "example_missing_assistant_message", None),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "content": [1]}]}, "bad_content_part", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "weight": 0.5}]}, "bad_weight", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "weight": True}]}, "bad_weight", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "weight": "1"}]}, "bad_weight", 3),
        ({"messages": [SYSTEM, USER, {**ASSISTANT, "tool_calls": [{}]}]}, "bad_tool_call", 3),
        ({"messages": [SYSTEM, USER, ASSISTANT], "tools": [{"name": "add"}]}, "bad_tool", None),
    ],
)
def test_an_error_is_found_where_it_is(record, check, message):
    (found,) = [one for one in founds(record) if one.severity is Severity.ERROR]
    assert (found.check, found.message) == (check, message)
    assert found.words.endswith(".")
    assert found.fix


@pytest.mark.parametrize(
    ("messages", "check", "message"),
    [
        ([USER, ASSISTANT], "missing_system_message", None),
        ([SYSTEM, ASSISTANT], "missing_user_message", None),
        ([SYSTEM, {**USER, "weight": 1}, ASSISTANT], "bad_weight", 2),
        ([SYSTEM, USER, {**ASSISTANT, "weight": 0}], "nothing_to_learn", None),
    ],
)
def test_a_warning_is_only_one(messages, check, message):
    (found,) = of(*messages)
    assert (found.check, found.message, found.severity) == (check, message, Severity.WARNING)


def test_the_cookbooks_names_are_kept_and_what_came_since_is_no_error():
    newer = [
        {**SYSTEM, "role": "developer"},
        {
            **USER,
            "name": "bob",
            "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL], "weight": 0},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        {"role": "assistant", "refusal": "No.", "content": None},
        {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": None},
        {**ASSISTANT, "weight": 1, "refusal": None, "content": [{"type": "text", "text": "4"}]},
    ]
    assert of(*newer, tools=[], parallel_tool_calls=True) == []
    said = {one.check for record in ({}, {"messages": [{"x": 1}]}, {"messages": [3]}) for one in founds(record)}
    assert {"missing_messages_list", "message_missing_key", "message_unrecognized_key", "data_type"} <= said & COOKBOOK


def test_nothing_that_stands_in_a_message_breaks_a_check():
    odd = [None, 3, "x", [], {}, [[]], {"role": []}, True, [{"type": []}], {"type": "text"}, 1e999]
    for value in odd:
        for key in ("role", "content", "name", "weight", "tool_calls", "function_call", "tool_call_id", "refusal", "x"):
            of({**USER, key: value}, {**ASSISTANT, key: value}, {"role": "tool", key: value}, value, tools=value)
        founds({"messages": value, "tools": [value], "functions": value, "parallel_tool_calls": value})
