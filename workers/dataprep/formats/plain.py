"""text: plain text to go on with, one field of it a record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example, Message
from workers.dataprep.formats.base import NOTHING, as_text, missing, other_format, rest_of


@dataclass(frozen=True)
class PlainText:
    """Text in one field; the whole of it is learnt, so the example is one message of the assistant."""

    key: str = "text"
    id: ClassVar[str] = "text"
    method: ClassVar[str] = "sft"
    words: ClassVar[str] = "plain text"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has the field, with text in it."""
        return isinstance(record.get(self.key), str)

    def like(self, record: Mapping[str, Any]) -> Self:  # noqa: ARG002
        """There is one spelling."""
        return self

    def problems(self, record: Any) -> Iterator[Found]:
        """No text."""
        if not isinstance(record, dict):
            yield from other_format(record, self.words)
        elif self.key not in record and record:
            yield from other_format(record, f"{self.words} in `{self.key}`")
        elif record.get(self.key) in (None, ""):
            yield missing("missing_answer", f"text in `{self.key}` to learn")

    def to_example(self, record: Any, line: int) -> Example | None:
        """The text, as one answer without a question."""
        if type(record) is not dict:
            return None
        value = record.get(self.key)
        if value is None or value == "":
            return None
        text = value if type(value) is str else as_text(value)
        extra = NOTHING if len(record) == 1 else rest_of(record, frozenset({self.key}))
        return Example((Message("assistant", text, NOTHING),), line, extra=extra)

    def to_record(self, example: Example) -> dict[str, Any]:
        """One record."""
        return {self.key: example.answer, **example.extra}
