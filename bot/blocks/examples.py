"""Examples as a model would be trained on them, by role."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot import escape
from bot.blocks.elements import Block, context, divider, modal, section
from workers.tables import Dataset

MARKS = {"system": "⚙️", "developer": "⚙️", "user": "🧑", "assistant": "🤖", "tool": "🔧", "function": "🔧", "…": "↕️"}
MOST = 900
"""Characters of a message."""


def preview(dataset: Dataset) -> Block:
    """A window with three examples."""
    kept = dataset.report.get("samples") or []
    name = escape.mrkdwn(dataset.name, 120)
    if not kept:
        words = "No example of it could be read without an error. Mend what the report says first."
        return modal("preview", "Preview", [section(f"*{name}*"), section(words)])
    blocks: list[Block] = [section(f"*{name}*, as a model would be trained on it. {METHODS.get(dataset.method, '')}")]
    return modal("preview", "Preview", blocks + draw(kept, dataset.examples))


METHODS = {
    "sft": "What is marked ◀ is what it learns to say.",
    "dpo": "It learns to say the preferred answer rather than the other.",
    "kto": "It learns to say more like the wanted answers, and less like the others.",
    "rft": "It answers by itself; a grader compares the answer with the reference.",
}


def draw(examples: Sequence[Any], of: int = 0) -> list[Block]:
    """The examples, one under the other."""
    blocks: list[Block] = []
    for number, kept in enumerate(examples, 1):
        example: Mapping[str, Any] = {"messages": kept} if isinstance(kept, list) else kept  # a report of old
        counted = f" of {of:,}" if of else ""
        blocks += [divider(), context(f"Example {number}{counted}")]
        blocks += [section(one) for one in _texts(example)]
    return blocks[:95]


def _texts(example: Mapping[str, Any]) -> list[str]:
    preferred = "rejected" in example
    texts = [_message(one, preferred=preferred) for one in example.get("messages") or []]
    texts += [_message(one, heading="👎 not preferred") for one in example.get("rejected") or []]
    if example.get("label") is not None:
        texts.append("👍 *wanted*" if example["label"] else "👎 *not wanted*")
    if example.get("reference"):
        texts.append(f"🎯 *reference for the grader*\n{_code(str(example['reference']))}")
    if example.get("tools"):
        names = ", ".join(escape.code(str(one), 60) for one in example["tools"])
        texts.append(f"🔧 *may call*: `{names}`")
    return texts


def _message(message: Mapping[str, Any], *, preferred: bool = False, heading: str = "") -> str:
    role = str(message.get("role") or "?")
    learnt = bool(message.get("learnt"))
    if not heading:
        heading = "👍 preferred" if preferred and learnt else f"{MARKS.get(role, '▫️')} {escape.mrkdwn(role, 30)}"
        heading = f"*{heading}*" + (" ◀" if learnt and not preferred else "")
    else:
        heading = f"*{heading}*"
    content = str(message.get("content") or "")
    calls = [f"→ {one}" for one in message.get("calls") or []]
    shown = "\n".join(([content] if content or not calls else []) + calls)
    return f"{heading}\n{_code(shown)}"


def _code(text: str) -> str:
    return f"```{escape.code(text, MOST) or ' '}```" if text.strip() else "_(empty)_"
