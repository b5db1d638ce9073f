"""YAML as job files are written in it: plain texts, numbers, truth values and nothing else, the same for every reader.

What one reader of YAML might see otherwise than another is refused, and so is what no database or JSON can keep.
"""

import math
import re
import unicodedata
from typing import Any

import yaml

from workers.errors import UserError

MOST_BYTES = 64_000
MOST_DEPTH = 20
MOST_INTEGER = 2**53
"""Larger ones are not the same number to every reader of JSON."""
_TAG = "tag:yaml.org,2002:"
_ALLOWED_CONTROLS = "\n\t"


class NoJobFile(UserError):
    """The file is no job file; the message says what is wrong, where, and what one looks like."""

    looks_like_one = False
    """Whether it seems to be meant as one all the same, so that somebody waits for an answer."""


def load(text: bytes) -> dict[str, Any]:
    """The mapping of the file: names with texts, numbers, truth values, lists and mappings. Raises NoJobFile."""
    if len(text) > MOST_BYTES:
        raise NoJobFile(too_large(len(text)))
    try:
        data = yaml.load(text.decode("utf-8-sig"), Loader=_Strict)  # noqa: S506 -- a SafeLoader that refuses more
    except UnicodeDecodeError as error:
        raise NoJobFile("This file is not UTF-8 text. Save it as UTF-8 and attach it again.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise NoJobFile(f"This YAML cannot be read. {where}{_readable(error.problem or 'it is broken')}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NoJobFile(f"This YAML cannot be read: {_readable(str(error))}") from error
    if not isinstance(data, dict):
        raise NoJobFile("This YAML is no job file: at its top must be names with values, such as “finetune: 1”.")
    return data


def too_large(size: int) -> str:
    """That a file of so many bytes is no job file."""
    return f"This file has {size:,} bytes; a job file has at most {MOST_BYTES:,}."


def _readable(words: str) -> str:
    return "".join(one if one.isprintable() else " " for one in words[:200])


class _Strict(yaml.SafeLoader):
    """No anchors, tags or keys that stand twice; no dates, binaries, endless numbers or control characters."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused("anchors (&name, *name) are not allowed", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refused("tags (!name, !!name) are not allowed", event.start_mark)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _refused("it is nested too deep", event.start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 -- yaml's own signature
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
                raise _refused("a name must be a text; put it in quotes", key.start_mark)
            if key.value in seen:
                raise _refused(f"“{key.value[:60]}” stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def text(self, node: Any) -> str:
        """A text without what no message or database can show."""
        for one in node.value:
            kind = unicodedata.category(one)
            if kind == "Cs" or (kind == "Cc" and one not in _ALLOWED_CONTROLS):
                raise _refused(f"a text has the control character U+{ord(one):04X}", node.start_mark)
        return str(node.value)

    def whole(self, node: Any) -> int:
        """A whole number that every reader reads alike."""
        digits = node.value.replace("_", "")
        number = int(digits) if len(digits) <= len(str(-MOST_INTEGER)) else MOST_INTEGER + 1
        if abs(number) > MOST_INTEGER:
            raise _refused(f"a whole number must be at most {MOST_INTEGER:,}", node.start_mark)
        return number

    def real(self, node: Any) -> float:
        """A finite number."""
        number = float(self.construct_yaml_float(node))
        if not math.isfinite(number):
            raise _refused("a number must be finite", node.start_mark)
        return number


def _refused(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


_Strict.yaml_implicit_resolvers = {}
_Strict.yaml_constructors = {
    f"{_TAG}null": yaml.SafeLoader.construct_yaml_null,
    f"{_TAG}bool": yaml.SafeLoader.construct_yaml_bool,
    f"{_TAG}int": _Strict.whole,
    f"{_TAG}float": _Strict.real,
    f"{_TAG}str": _Strict.text,
    f"{_TAG}seq": yaml.SafeLoader.construct_yaml_seq,
    f"{_TAG}map": yaml.SafeLoader.construct_yaml_map,
}
for _name, _looks, _begins in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", list("yYnNtTfFoO")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)", list("-+0123456789")),
    (
        "float",
        r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _Strict.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_looks})\Z"), _begins)
