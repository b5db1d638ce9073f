"""Examples cut down for reading."""

import json

from workers import previews
from workers.dataprep.example import Example, Message
from workers.dataprep.formats import ColumnMapping


def test_what_is_learnt_is_marked():
    shown = previews.of(Example((Message("system", "s"), Message("user", "q"), Message("assistant", "a")), 4))
    assert shown["line"] == 4
    assert [(one["role"], one["content"], one["learnt"]) for one in shown["messages"]] == [
        ("system", "s", False), ("user", "q", False), ("assistant", "a", True)
    ]  # fmt: skip


def test_preferences_labels_references_and_tools():
    shown = previews.of(
        Example(
            (Message("user", "q"), Message("assistant", "good")), rejected=(Message("assistant", "bad"),), label=False,
            reference={"answer": 3}, tools=({"type": "function", "function": {"name": "look_up"}}, "junk"),
        )
    )  # fmt: skip
    assert shown["rejected"] == [{"role": "assistant", "content": "bad", "learnt": False}]
    assert (shown["label"], shown["reference"], shown["tools"]) == (False, '{"answer": 3}', ["look_up", "?"])


def test_calls_and_parts_are_named():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    picture = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:…"}}]
    shown = previews.of(
        Example((Message("user", picture), Message("assistant", None, {"tool_calls": [call, 7]})))
    )["messages"]  # fmt: skip
    assert shown[0]["content"] == "look\n[image_url]"
    assert shown[1]["calls"] == ['f({"x": 1})', "a call that cannot be read"]


def test_everything_is_short_and_can_be_kept():
    nasty = "\x00\ud800" + "x" * 5000
    messages = tuple(Message("user" if place % 2 == 0 else "assistant", nasty) for place in range(40))
    shown = previews.of(Example(messages))
    assert len(shown["messages"]) == 6
    assert shown["messages"][-2]["content"] == "35 more messages"
    assert max(len(one["content"]) for one in shown["messages"]) == 600
    assert "\\u0000" not in json.dumps(shown)
    json.dumps(shown, ensure_ascii=False).encode()


def test_a_table_is_shown_as_it_would_be_trained():
    kept = previews.table(["q", "a", "why"], [{"q": "1?", "a": 1, "why": None}, {"q": "2?", "a": [2]}] * 5)
    assert kept == {"columns": ["q", "a", "why"], "rows": [["1?", "1", ""], ["2?", "[2]", ""], ["1?", "1", ""]]}
    shown = previews.of_table(kept, ColumnMapping(prompt="q", answer="a", system="why"))
    assert [[one["content"] for one in example["messages"]] for example in shown] == [
        ["1?", "1"], ["2?", "[2]"], ["1?", "1"]
    ]  # fmt: skip


KEY = "ghp_" + "9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX"


def test_nothing_secret_or_personal_is_kept_for_reading():
    call = {"function": {"name": "f", "arguments": json.dumps({"key": KEY})}}
    example = Example(
        (Message("user", f"My key is {KEY}"), Message("assistant", "x" * 580 + f" {KEY}", {"tool_calls": [call]})),
        rejected=(Message("assistant", "anna@firma.de"),), reference={"key": KEY},
    )  # fmt: skip
    kept = [previews.of(example), previews.table(["q"], [{"q": f"My key is {KEY}"}, {"q": "anna@firma.de"}])]
    assert kept[0]["messages"][0]["content"] == "My key is [hidden: GitHub token]"
    assert kept[1]["rows"] == [["My key is [hidden: GitHub token]"], ["[hidden: e-mail address]"]]
    assert KEY[:8] not in str(kept)
    assert "anna" not in str(kept)
