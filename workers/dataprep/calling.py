"""The quick way through one line with tools: a strict schema and a few looks prove that no check can find anything.

Such a line is a conversation in which each call is answered before the talk goes on, with calls and declared tools in
the vendors' shape and no other keys. What tools a line declares is judged the exact way, once for all lines that
declare the same.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
from msgspec import UNSET, Raw, UnsetType

from workers.dataprep import fingerprints, json_values, tokens
from workers.dataprep.checks import declared
from workers.dataprep.checks.calls import declared_names, is_object
from workers.dataprep.example import Example, Message
from workers.dataprep.fingerprints import ROLES
from workers.dataprep.formats.base import tools_of
from workers.dataprep.json_structure import quotes

Text = Annotated[str, msgspec.Meta(min_length=1)]
MOST_REMEMBERED = 200
"""Different lists of tools; a longer one than `LONGEST_REMEMBERED` bytes is judged each time."""
LONGEST_REMEMBERED = 30_000
STRINGS_OF_A_CALL = 9
"""Its keys and texts: id, type, name and arguments have both, and there is `function`."""
PROBLEMS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for a line that is not in its shape."""


class _Function(TypedDict):
    name: str
    arguments: str


class _Call(TypedDict):  # a dict, because the order of its keys counts: tokens are those of the JSON as it stands
    id: str
    type: Literal["function"]
    function: _Function


class _System(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="role", tag="system"):
    content: Text


class _Developer(_System, tag="developer"):
    pass


class _User(_System, tag="user"):
    pass


class _Tool(_System, tag="tool"):
    tool_call_id: Text


class _Assistant(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="role", tag="assistant"):
    content: str | UnsetType | None = UNSET
    tool_calls: Annotated[list[_Call], msgspec.Meta(min_length=1)] | UnsetType = UNSET


_Turn = _System | _Developer | _User | _Assistant | _Tool


class _Record(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Annotated[list[_Turn], msgspec.Meta(min_length=2)]
    tools: Raw = Raw()
    parallel_tool_calls: bool | UnsetType = UNSET


class Declared(NamedTuple):
    """What tools a line declares: their names, their text as it is counted and as it is compared, its quotes."""

    names: frozenset[str] = frozenset()
    counted: str = ""
    compared: str = ""
    quotes: int = 0


class Told(NamedTuple):
    """A line of which everything is proven but that no key stands twice: then it has just so many `quotes`."""

    texts: list[str]
    """Each message's content, empty for none."""
    roles: list[int]
    beside: list[str]
    """What counts beside the content: the calls as JSON, the id of the call that is answered."""
    words: list[str]
    """What tells each message from others."""
    declared: Declared
    quotes: int


_decode = msgspec.json.Decoder(_Record).decode
_CODES = {
    kind: ROLES.index(str(kind.__struct_config__.tag)) for kind in (_System, _Developer, _User, _Assistant, _Tool)
}
_AFTER: dict[type[_Turn] | None, frozenset[type[_Turn]]] = {
    None: frozenset({_System, _Developer, _User}),
    _System: frozenset({_User}),
    _Developer: frozenset({_User}),
    _User: frozenset({_Assistant}),
    _Assistant: frozenset({_User, _Tool}),
    _Tool: frozenset({_Tool, _Assistant, _User}),
}
_NONE = Declared()


def prove(line: bytes) -> Told | None:
    """What can be proved of this line; None for nothing."""
    try:
        record = _decode(line)
    except PROBLEMS:
        return None
    raw = bytes(record.tools)
    declares = _declared(raw) if len(raw) <= LONGEST_REMEMBERED else _declared.__wrapped__(raw)
    if declares is None or b"\\u0000" in line or not _in_turns(record.messages, declares.names):
        return None
    strings = 1 + bool(raw) + (record.parallel_tool_calls is not UNSET)
    texts, beside, words = [], [], []
    for turn in record.messages:
        content = None if turn.content is UNSET else turn.content
        strings += 4 if content is not None else 2 + (turn.content is None)
        extra: Mapping[str, Any] | None = None
        if type(turn) is _Tool:
            extra = {"tool_call_id": turn.tool_call_id}
            strings += 2
        elif type(turn) is _Assistant and turn.tool_calls is not UNSET:
            extra = {"tool_calls": turn.tool_calls}
            strings += 1 + STRINGS_OF_A_CALL * len(turn.tool_calls)
        texts.append(content or "")
        beside.append("".join(tokens.beside(extra)) if extra else "")
        words.append(fingerprints.words(Message("", content, extra)) if extra else texts[-1])
    roles = [_CODES[type(turn)] for turn in record.messages]
    return Told(texts, roles, beside, words, declares, 2 * strings + declares.quotes)


@lru_cache(maxsize=MOST_REMEMBERED)
def _declared(raw: bytes) -> Declared | None:
    """What the bytes of a record's `tools` declare; None where a check finds anything in them."""
    if not raw:
        return _NONE
    parsed = json_values.strict(b'{"tools":%b}' % raw)
    if parsed.founds or any(declared.declared_tools(parsed.value)):
        return None
    tools = tools_of(parsed.value["tools"])
    names = frozenset(declared_names(Example((), tools=tools)))
    return Declared(names, tokens.of_tools(tools), fingerprints.of_tools(tools), quotes(raw))


def _in_turns(turns: Sequence[_Turn], names: frozenset[str]) -> bool:
    """Whether each speaks when it should, every call is a proper one and answered before the talk goes on."""
    before: type[_Turn] | None = None
    waiting: set[str] = set()
    for turn in turns:
        kind = type(turn)
        if kind not in _AFTER[before] or (waiting and kind is not _Tool):
            return False
        if type(turn) is _Tool:
            if turn.tool_call_id not in waiting:
                return False
            waiting.remove(turn.tool_call_id)
        elif type(turn) is _Assistant:
            calls = turn.tool_calls or []
            waiting = {call["id"] for call in calls}
            if not (calls or turn.content) or not _proper(calls, names):
                return False
        before = kind
    return before is _Assistant


def _proper(calls: Sequence[_Call], names: frozenset[str]) -> bool:
    """Whether every call is of a declared function, with arguments that are an object."""
    functions = [call["function"] for call in calls]
    return all((not names or one["name"] in names) and is_object(one["arguments"]) for one in functions)
