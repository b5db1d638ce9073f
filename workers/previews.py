"""Examples cut down for reading: what a report keeps of them, as plain JSON.

An example is `{line, messages, rejected, label, reference, tools}`, a message `{role, content, calls, learnt}`. Keys,
passwords and personal data are named in them, not shown.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from workers.dataprep.example import Example, Message
from workers.dataprep.formats import ColumnMapping, Table
from workers.dataprep.hiding import hidden

MOST_MESSAGES = 6
MOST_CHARACTERS = 600
MOST_CALLS = 4
MOST_TOOLS = 12
MOST_COLUMNS, MOST_ROWS = 100, 3


def of(example: Example) -> dict[str, Any]:
    """One example, with what is learnt of it marked."""
    turns = max(0, min(example.turns, len(example.messages)))
    first_learnt = len(example.messages) - turns
    messages = [_message(one, learnt=place >= first_learnt) for place, one in enumerate(example.messages)]
    if len(messages) > MOST_MESSAGES:  # the beginning, and the answer
        left_out = {"role": "…", "content": f"{len(messages) - MOST_MESSAGES + 1} more messages", "learnt": False}
        messages = [*messages[: MOST_MESSAGES - 2], left_out, messages[-1]]
    shown: dict[str, Any] = {"line": example.line, "messages": messages}
    if example.rejected:
        shown["rejected"] = [_message(one, learnt=False) for one in example.rejected[:MOST_MESSAGES]]
    if example.label is not None:
        shown["label"] = example.label
    if example.reference:
        shown["reference"] = _cut(json.dumps(dict(example.reference), ensure_ascii=False, default=str))
    tools = [_tool_name(one) for one in list(example.tools)[:MOST_TOOLS]]
    if tools:
        shown["tools"] = tools
    return shown


def _message(message: Message, *, learnt: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role[:40], "content": _content(message), "learnt": learnt}
    calls = [_call(one) for one in _listed(message.extra.get("tool_calls"))[:MOST_CALLS]]
    if isinstance(message.extra.get("function_call"), Mapping):
        calls.append(_call({"function": message.extra["function_call"]}))
    if calls:
        shown["calls"] = calls
    return shown


def _content(message: Message) -> str:
    """The words; a part that is none is named."""
    if isinstance(message.content, str) or message.content is None:
        return _cut(message.text)
    parts = [
        str(one.get("text") or "") if one.get("type") == "text" else f"[{str(one.get('type') or 'part')[:30]}]"
        for one in message.content
        if isinstance(one, Mapping)
    ]
    return _cut("\n".join(parts))


def _call(call: Any) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return "a call that cannot be read"
    return _cut(f"{function.get('name')}({function.get('arguments')})", 300)


def _tool_name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    named = function if isinstance(function, Mapping) else tool
    return str(named.get("name") if isinstance(named, Mapping) else "?")[:60]


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _clean(text: Any) -> str:
    """Without what no database or JSON can keep."""
    return str(text).replace("\x00", "").encode("utf-8", "replace").decode()


def _cut(text: str, most: int = MOST_CHARACTERS) -> str:
    """At most so many characters, nothing secret or personal among them."""
    text = hidden(_clean(text), most)
    return text if len(text) <= most else f"{text[: most - 1]}…"


# tables whose columns a person chooses


def table(columns: Iterable[str], records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of a table and its first records, kept so that a form can show what a choice would make of them."""
    names = [one for one in map(_clean, columns) if len(one) <= MOST_CHARACTERS][:MOST_COLUMNS]
    rows = [[_cut(_cell(record.get(name))) for name in names] for record in islice(records, MOST_ROWS)]
    return {"columns": names, "rows": rows}


def of_table(kept: Mapping[str, Any], mapping: ColumnMapping) -> list[dict[str, Any]]:
    """The kept records as they would be trained with this mapping."""
    reader = Table(mapping)
    names = kept.get("columns") or []
    made = [reader.to_example(dict(zip(names, row, strict=False)), 0) for row in kept.get("rows") or []]
    return [of(one) for one in made if one is not None]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
