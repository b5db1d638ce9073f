"""One reader a format. Which format a file is in is found from its first records, never from its name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from workers.dataprep.example import Example, Message
from workers.dataprep.lines import WANTED, Record, UnreadableDataset, encoding_of, records

__all__ = ["FORMATS", "DatasetFormat", "UnreadableDataset", "detect", "open_dataset"]


@dataclass(frozen=True)
class DatasetFormat:
    """A format: whether a record is in it, and how its records become examples."""

    id: str
    method: str
    matches: Callable[[Any], bool]
    to_messages: Callable[[Mapping[str, Any]], list[Any]]


def _chat(record: Mapping[str, Any]) -> list[Any]:
    messages = record.get("messages")
    return messages if isinstance(messages, list) else []


def _pair(record: Mapping[str, Any]) -> list[Any]:
    return [{"role": "user", "content": record["prompt"]}, {"role": "assistant", "content": record["completion"]}]


FORMATS = (
    DatasetFormat("openai-chat", "sft", lambda value: isinstance(value, dict) and "messages" in value, _chat),
    DatasetFormat(
        "prompt-completion",
        "sft",
        lambda value: isinstance(value, dict) and {"prompt", "completion"} <= value.keys(),
        _pair,
    ),
)


def detect(path: Path, max_bytes: int) -> tuple[DatasetFormat, str]:
    """The file's format and encoding. Raises UnreadableDataset with what was found instead."""
    encoding = encoding_of(path, max_bytes)
    first = list(islice(records(path, encoding), 20))
    values = [record.value for record in first if not record.problem]
    for dataset_format in FORMATS:
        if any(dataset_format.matches(value) for value in values):
            return dataset_format, encoding
    raise UnreadableDataset(_what_else(path, encoding, first))


def _what_else(path: Path, encoding: str, first: list[Record]) -> str:
    values = [record.value for record in first if not record.problem]
    if not values:
        with path.open("r", encoding=encoding, errors="replace") as file:
            start = file.readline(200).strip()
        if first and start.startswith(("{", "[")):
            return f"Its first line is not valid JSON ({first[0].problem.rstrip('.')}). {WANTED}"
        if start.count(",") >= 1 or "\t" in start:
            return f"It looks like a table (CSV or TSV), which cannot be read yet. {WANTED}"
        return f"It is plain text without any training examples. {WANTED}"
    if isinstance(values[0], dict):
        keys = ", ".join(sorted(map(str, values[0]))[:6]) or "no keys"
        return f"Its records have {keys}, but neither `messages` nor `prompt` and `completion`. {WANTED}"
    return f"It is JSON, but not a list of training examples. {WANTED}"


def open_dataset(path: Path, dataset_format: DatasetFormat, encoding: str) -> Iterator[tuple[Record, Example | None]]:
    """Every record with its example; None for a record that is not in the format."""
    for record in records(path, encoding):
        if record.problem or not isinstance(record.value, dict) or not dataset_format.matches(record.value):
            yield record, None
            continue
        messages = dataset_format.to_messages(record.value)
        yield record, Example(tuple(_message(one) for one in messages if isinstance(one, dict)), record.line)


def _message(value: Mapping[str, Any]) -> Message:
    content = value.get("content")
    text = content if isinstance(content, str) else None
    extra = {key: one for key, one in value.items() if key not in {"role", "content"}}
    if content is not None and text is None:
        extra["content"] = content
    return Message(str(value.get("role", "")), text, extra)
