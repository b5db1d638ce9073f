"""table: any table, with a mapping that says which column is the prompt and which the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example, Message
from workers.dataprep.formats.base import NOTHING, as_text, missing, other_format, rest_of, warned
from workers.dataprep.formats.kto import truth
from workers.errors import UserError


@dataclass(frozen=True)
class ColumnMapping:
    """Which column is what; an empty name means that there is none."""

    prompt: str = ""
    """What is asked. Without it the answer is plain text."""
    answer: str = ""
    """What is learnt: an answer, or the label of a classification."""
    system: str = ""
    """The system message."""
    label: str = ""
    """Whether the answer is wanted, true or false: makes it kto."""
    rejected: str = ""
    """An unwanted answer: makes it dpo."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used."""
        return tuple(one for one in asdict(self).values() if one)

    def to_json(self) -> dict[str, str]:
        """Plain JSON, without what is not there."""
        return {name: column for name, column in asdict(self).items() if column}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ColumnMapping":
        """Of plain JSON. Raises UserError for what is no mapping."""
        names = {one.name for one in fields(cls)}
        unknown = sorted(str(key) for key in value if key not in names)
        if unknown:
            raise UserError(f"A column cannot be mapped to {', '.join(unknown)}; there are {', '.join(sorted(names))}.")
        mapping = cls(**{key: str(column) for key, column in value.items() if column})
        if not mapping.answer:
            raise UserError("The mapping does not say which column is the answer: give `answer=COLUMN`.")
        return mapping

    @classmethod
    def parse(cls, text: str) -> "ColumnMapping":
        """Of words such as `prompt=Question,answer=Reply`. Raises UserError."""
        pairs = [one.partition("=") for one in text.split(",") if one.strip()]
        wrong = next((one for one, sign, _ in pairs if not sign), None)
        if wrong is not None:
            raise UserError(f"{wrong.strip()!r} is no mapping. Write prompt=COLUMN,answer=COLUMN.")
        return cls.from_json({name.strip(): column.strip() for name, _, column in pairs})


@dataclass(frozen=True)
class Table:
    """Records of which some columns are mapped."""

    columns: ColumnMapping
    id: ClassVar[str] = "table"
    words: ClassVar[str] = "a table"

    @property
    def method(self) -> str:
        """By what is mapped."""
        return "dpo" if self.columns.rejected else "kto" if self.columns.label else "sft"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has the columns."""
        return self.columns.answer in record

    def like(self, record: Mapping[str, Any]) -> Self:  # noqa: ARG002
        """There is one spelling."""
        return self

    def problems(self, record: Any) -> Iterator[Found]:
        """Cells that are empty and must not be."""
        columns = self.columns
        if not isinstance(record, dict):
            yield from other_format(record, self.words)
            return
        if not record.keys() & set(columns.columns):
            yield from other_format(record, f"a table with the columns {', '.join(columns.columns)[:200]}")
            return
        if as_text(record.get(columns.answer)) == "":
            yield missing("missing_answer", f"answer: the cell `{columns.answer}` is empty")
        if columns.prompt and as_text(record.get(columns.prompt)) == "":
            yield missing("missing_prompt", f"prompt: the cell `{columns.prompt}` is empty")
        if columns.rejected and as_text(record.get(columns.rejected)) == "":
            yield missing("missing_rejected", f"unwanted answer: the cell `{columns.rejected}` is empty")
        if columns.label and truth(record.get(columns.label)) is None:
            yield Found(
                "missing_label",
                f"The cell `{columns.label}` is neither true nor false. Write true or false.",
                fix="drop",
            )
        if columns.system and as_text(record.get(columns.system)) == "":
            yield warned("missing_system_message", f"The cell `{columns.system}` is empty: no system message.")

    def to_example(self, record: Any, line: int) -> Example | None:
        """System, prompt and answer, by the mapping."""
        if type(record) is not dict:
            return None
        columns = self.columns
        some: list[Message] = []
        for column, role in ((columns.system, "system"), (columns.prompt, "user")):
            if column and (text := as_text(record.get(column))):
                some.append(Message(role, text, NOTHING))
        answer = record.get(columns.answer)
        if answer is not None:
            some.append(Message("assistant", as_text(answer), NOTHING))
        if not some:
            return None
        unwanted = as_text(record.get(columns.rejected)) if columns.rejected else ""
        return Example(
            tuple(some),
            line,
            0 if answer is None else 1,
            rejected=(Message("assistant", unwanted, NOTHING),) if unwanted else (),
            label=truth(record.get(columns.label)) if columns.label else None,
            extra=rest_of(record, frozenset(columns.columns)),
        )

    def to_record(self, example: Example) -> dict[str, Any]:
        """A record with the same columns."""
        columns = self.columns
        record: dict[str, Any] = {}
        if columns.system:
            record[columns.system] = said_by(example.prompt, "system")
        if columns.prompt:
            record[columns.prompt] = said_by(example.prompt, "user")
        record[columns.answer] = example.answer
        if columns.rejected:
            record[columns.rejected] = said_by(example.rejected, "assistant")
        if columns.label:
            record[columns.label] = example.label
        return {**record, **example.extra}


def said_by(some: Sequence[Message], role: str) -> str:
    """What a role says."""
    return "\n".join(one.text for one in some if one.role == role)
