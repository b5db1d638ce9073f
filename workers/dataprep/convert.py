"""Writing examples in the format that a provider accepts."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workers.dataprep.example import Example, Message
from workers.dataprep.formats import detect, open_dataset
from workers.errors import UserError


def read_examples(path: Path, *, max_bytes: int = 100_000_000_000) -> Iterator[Example]:
    """Every example of a file; lines that are no example are left out. Raises UnreadableDataset."""
    dataset_format, encoding = detect(path, max_bytes)
    for _, example in open_dataset(path, dataset_format, encoding):
        if example is not None and example.messages:
            yield example


def write(examples: Iterable[Example], format_id: str, out: Path) -> int:
    """Write the examples and return how many; `out` appears whole or not at all. Raises UserError."""
    try:
        to_record = WRITERS[format_id]
    except KeyError:
        raise UserError(f"There is no format {format_id!r} to write; there are {', '.join(sorted(WRITERS))}.") from None
    partial = out.with_name(f".{out.name}.partial")
    count = 0
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for example in examples:
                file.write(json.dumps(to_record(example), ensure_ascii=False) + "\n")
                count += 1
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _openai_chat(example: Example) -> dict[str, Any]:
    return {"messages": [_message(message) for message in example.messages]}


def _message(message: Message) -> Mapping[str, Any]:
    content = {} if message.content is None and "content" in message.extra else {"content": message.content}
    return {"role": message.role, **content, **message.extra}


def _prompt_completion(example: Example) -> dict[str, Any]:
    roles = [message.role for message in example.messages]
    if roles != ["user", "assistant"]:
        raise UserError(
            f"Line {example.line}: a conversation of {', '.join(roles)} cannot be written as one prompt and one "
            "completion. Convert to openai-chat instead."
        )
    return {"prompt": example.messages[0].content or "", "completion": example.answer}


WRITERS: dict[str, Callable[[Example], dict[str, Any]]] = {
    "openai-chat": _openai_chat,
    "prompt-completion": _prompt_completion,
}
"""Format ids and what turns an example into a record of theirs."""
