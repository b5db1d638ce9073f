"""kto: an answer and whether it is wanted; TRL's prompt, completion and label, or LLaMA-Factory's conversations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example
from workers.dataprep.formats.alpaca import Alpaca
from workers.dataprep.formats.base import DatasetFormat, are_messages, missing, other_format
from workers.dataprep.formats.chat import OpenAIChat
from workers.dataprep.formats.pairs import PromptCompletion
from workers.dataprep.formats.sharegpt import ShareGPT

TAGS = ("label", "kto_tag")
_TRUTHS: Mapping[Any, bool] = {
    True: True,
    False: False,
    "true": True,
    "false": False,
    "True": True,
    "False": False,
    "TRUE": True,
    "FALSE": False,
    "1": True,
    "0": False,
    "yes": True,
    "no": False,
}


def truth(value: Any) -> bool | None:
    """What a label says; None where it says nothing that can be understood."""
    return _TRUTHS.get(value) if isinstance(value, (bool, int, float, str)) else None


def bearer(record: Mapping[str, Any]) -> DatasetFormat | None:
    """The format that the record would be in without its label."""
    if "prompt" in record and "completion" in record:
        return PromptCompletion()
    for one in (OpenAIChat(), ShareGPT(), Alpaca()):
        if one.matches(record):
            return one
    return None


def _speaks_last(record: Mapping[str, Any]) -> bool:
    told = record.get("messages") or [None]
    return are_messages(told) and told[-1].get("role") == "assistant"


@dataclass(frozen=True)
class Kto:
    """Answers with a label; `carrier` is the format of everything but the label, `tag` its key."""

    carrier: DatasetFormat = PromptCompletion()  # noqa: RUF009  # a frozen value
    tag: str = TAGS[0]
    id: ClassVar[str] = "kto"
    method: ClassVar[str] = "kto"
    words: ClassVar[str] = "answers labelled as wanted or unwanted"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has an answer, and a label that is true or false."""
        if "kto_tag" in record:
            return bearer(record) is not None
        label = record.get("label")
        if truth(label) is None:
            return False
        if "prompt" in record and "completion" in record:
            return True
        if not isinstance(label, bool) and str(label).lower() not in {"true", "false"}:
            return False
        if "messages" in record:
            return _speaks_last(record)
        return bearer(record) is not None and ("instruction" in record or ShareGPT().matches(record))

    def like(self, record: Mapping[str, Any]) -> Self:
        """With the answer and the label where this record has them."""
        carrier = bearer(record) or self.carrier
        return type(self)(carrier.like(record), "kto_tag" if "kto_tag" in record else "label")

    def problems(self, record: Any) -> Iterator[Found]:
        """Those of the conversation, and no label."""
        carrier = bearer(record) if isinstance(record, dict) else None
        if carrier is None:
            yield from other_format(record, self.words)
            return
        yield from carrier.problems(record)
        value = next((record[tag] for tag in TAGS if tag in record), None)
        if value is None:
            yield missing("missing_label", f"`{self.tag}` that says whether the answer is wanted")
        elif truth(value) is None:
            yield Found(
                "missing_label",
                f"The label is neither true nor false, but {str(value)[:50]!r}. Write true or false.",
                fix="drop",
            )

    def to_example(self, record: Any, line: int) -> Example | None:
        """The conversation with its label."""
        carrier = bearer(record) if type(record) is dict else None
        example = carrier.to_example(record, line) if carrier else None
        if example is None:
            return None
        tag = next((tag for tag in TAGS if tag in record), None)
        if tag is None:
            return example
        extra = {key: value for key, value in example.extra.items() if key != tag}
        return replace(example, label=truth(record[tag]), extra=extra)

    def to_record(self, example: Example) -> dict[str, Any]:
        """The conversation's record with the label."""
        return {**self.carrier.to_record(example), self.tag: example.label}
