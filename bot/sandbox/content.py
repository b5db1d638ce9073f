"""What a call wants to say: its text, blocks and metadata, checked as Slack checks them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.block_kit import problems_of_blocks
from bot.sandbox.errors import SlackProblem

Json = dict[str, Any]
MOST_TEXT = 40_000
SENSIBLE_TEXT = 4_000
SENSIBLE_BLOCK_TEXT = 11_000
MOST_BLOCK_TEXT = 13_200
MOST_MARKDOWN = 12_000
MOST_ATTACHMENTS = 100


@dataclass
class Content:
    """Text and blocks; None is what was not given. `remarks` are for the journal: allowed, but not wise."""

    text: str | None = None
    blocks: list[Json] | None = None
    attachments: list[Json] | None = None
    metadata: Json | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text or "").strip() and not self.blocks and not self.attachments


def read(arguments: Arguments) -> Content:
    """The content of a call. Raises SlackProblem."""
    content = Content()
    if "text" in arguments:
        content.text = arguments.text("text")
    if "blocks" in arguments:
        content.blocks = checked_blocks(arguments.nested("blocks", "invalid_blocks_format") or [])
    if "markdown_text" in arguments and arguments.text("markdown_text"):
        if content.text or content.blocks:
            raise SlackProblem("markdown_text_conflict")
        content.text = arguments.text("markdown_text")
        if len(content.text) > MOST_MARKDOWN:
            raise SlackProblem("msg_too_long")
        content.blocks = [{"type": "markdown", "text": content.text}]
    if "attachments" in arguments:
        content.attachments = _attachments(arguments.nested("attachments", "invalid_attachments") or [])
    if "metadata" in arguments:
        content.metadata = _metadata(arguments.nested("metadata", "invalid_metadata_format"))
    if content.text is not None and len(content.text) > MOST_TEXT:
        raise SlackProblem("msg_too_long")
    _length(content)
    return content


def checked_blocks(blocks: Any) -> list[Json]:
    """A message's blocks, if Slack would take them. Raises SlackProblem."""
    problems = problems_of_blocks(blocks)
    if problems:
        raise SlackProblem("invalid_blocks", problems, errors=[one.removeprefix("[ERROR] ") for one in problems])
    return list(blocks)


def _length(content: Content) -> None:
    if len(content.text or "") > SENSIBLE_TEXT:
        content.remarks.append(f"text of {len(content.text or '')} characters: Slack asks for at most {SENSIBLE_TEXT}")
    counted = [block for block in content.blocks or [] if block["type"] != "data_table"]  # it has a limit of its own
    size = sum(len(text) for text in _texts(counted))
    if size > MOST_BLOCK_TEXT:
        raise SlackProblem("msg_blocks_too_long")
    if size > SENSIBLE_BLOCK_TEXT:
        content.remarks.append(f"blocks of {size} characters together: more than {SENSIBLE_BLOCK_TEXT} is risky")
    if content.blocks and not (content.text or "").strip():
        content.remarks.append("no top-level text: notifications and screen readers have nothing to say")


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _texts(child)
    elif isinstance(node, dict):
        for name, child in node.items():
            if name == "text" and isinstance(child, str):
                yield child
            else:
                yield from _texts(child)


def _attachments(attachments: Any) -> list[Json]:
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        raise SlackProblem("invalid_attachments")
    if len(attachments) > MOST_ATTACHMENTS:
        raise SlackProblem("too_many_attachments")
    for attachment in attachments:
        checked_blocks(attachment.get("blocks") or [])
    return attachments


def _metadata(metadata: Any) -> Json | None:
    if not metadata:
        return None
    proper = isinstance(metadata, dict) and isinstance(metadata.get("event_payload"), dict)
    if not proper or not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
        raise SlackProblem("invalid_metadata_format")
    if len(json.dumps(metadata)) > 8_000:
        raise SlackProblem("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}
