"""Content in parts: which there are, what each must have, and whose messages may have them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BODIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "text": ("text", ()),
    "refusal": ("refusal", ()),
    "image_url": ("image_url", ("url",)),
    "input_audio": ("input_audio", ("data", "format")),
    "file": ("file", ()),
}
"""A part's type -> the key of what it carries, and that object's own keys; those without any carry text."""
_ALLOWED = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "system": ("text",),
    "developer": ("text",),
    "tool": ("text", "image_url"),
    "function": (),
}
DETAILS = ("auto", "low", "high")
AUDIO_FORMATS = ("wav", "mp3")


def part_problems(parts: Sequence[Any], role: object) -> Iterator[str]:
    """What is wrong with the parts of a message, in words; at most one problem a message, the first."""
    allowed = _ALLOWED.get(role) if isinstance(role, str) else None
    for number, part in enumerate(parts, 1):
        problem = _problem(part, allowed, role)
        if problem:
            yield f"Part {number} of the content {problem}"
            return


def _problem(part: Any, allowed: tuple[str, ...] | None, role: object) -> str:
    if not isinstance(part, dict):
        return 'is no object. Write it as {"type": "text", "text": …}.'
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _BODIES:
        shown = repr(kind[:40]) if isinstance(kind, str) else "missing"
        return f"has a type that is {shown}. Use text, or image_url in a user's message."
    if allowed is not None and kind not in allowed:
        return (
            f"is of type {kind}, which a message of {role} may not have. Move it to a user's message, or drop the line."
        )
    key, inner = _BODIES[kind]
    body = part.get(key)
    if kind in ("text", "refusal"):
        return "" if isinstance(body, str) else f"has no text in `{key}`. Write it there, or drop the line."
    if not isinstance(body, dict):
        return f"has no object in `{key}`. Mend it, or drop the line."
    missing = [one for one in inner if not isinstance(body.get(one), str)]
    if missing:
        return f"has no `{missing[0]}` in its `{key}`. Add it, or drop the line."
    return _odd_value(kind, body)


def _odd_value(kind: str, body: Mapping[str, Any]) -> str:
    if kind == "image_url" and body.get("detail", "auto") not in DETAILS:
        return "has a `detail` that is not auto, low or high. Mend it, or drop the line."
    if kind == "input_audio" and body["format"] not in AUDIO_FORMATS:
        return "has an audio format that is not wav or mp3. Convert it, or drop the line."
    if kind == "image_url" and not body["url"].strip():
        return "has an empty picture address. Fill it in, or drop the line."
    return ""
