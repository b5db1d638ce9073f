"""alpaca: an instruction, an input to it, the output; earlier rounds in `history`, a system text beside them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example, Message
from workers.dataprep.formats.base import NOTHING, as_text, missing, other_format, rest_of, tools_of
from workers.dataprep.formats.pairs import empty, headed

INPUTS = ("input", "context")
OUTPUTS = ("output", "response", "completion", "answer")
PROMPT_KEYS = frozenset({"instruction", "input", "system", "history", "tools"})
JOINT = "\n"
"""Between an instruction and its input, as LLaMA-Factory puts it."""


def output_key(record: Mapping[str, Any]) -> str | None:
    """The name under which the answer stands."""
    return next((key for key in OUTPUTS if key in record), None)


def prompt_of(record: Mapping[str, Any]) -> tuple[tuple[Message, ...], Mapping[str, Any]]:
    """System text, earlier rounds and the question; and where the question falls apart, for writing it back."""
    question, more = record.get("instruction"), ""
    question = question if type(question) is str else as_text(question)
    extra: Mapping[str, Any] = NOTHING
    for key in INPUTS:
        if record.get(key):
            more = as_text(record[key])
            extra = {INPUTS[0]: more}
            question = f"{question}{JOINT}{more}" if question else more
            break
    rounds: list[Message] = []
    history = record.get("history")
    if type(history) is list:
        for one in history:
            if type(one) is list and len(one) == 2:
                rounds += [Message("user", as_text(one[0]), NOTHING), Message("assistant", as_text(one[1]), NOTHING)]
    asked = (Message("user", question, NOTHING),) if question else ()
    return headed(record, (*rounds, *asked)), extra


def known_keys(record: Mapping[str, Any], *more: str) -> frozenset[str]:
    """The keys that have a meaning here; `context` has one where there is no `input`."""
    used = () if "context" not in record or record.get("input") else ("context",)
    return PROMPT_KEYS.union(more, used)


def prompt_problems(record: Mapping[str, Any]) -> Iterator[Found]:
    """No instruction, or a history that is no list of rounds."""
    if empty(record.get("instruction")) and all(empty(record.get(key)) for key in INPUTS):
        yield missing("missing_prompt", "instruction")
    history = record.get("history")
    if empty(history):
        return
    if not isinstance(history, list) or any(not isinstance(one, list) or len(one) != 2 for one in history):
        yield Found(
            "invalid_history",
            "`history` is not a list of pairs of question and answer. Mend it, or leave the example out.",
            fix="drop",
        )


def prompt_record(example: Example) -> dict[str, Any]:
    """Instruction, input, system and history of an example; its extra keys too."""
    some = list(example.prompt)
    fields: dict[str, Any] = {}
    if some and some[0].role == "system":
        fields["system"] = some.pop(0).text
    question = some.pop().text if some and some[-1].role == "user" else ""
    history = [[one.text, other.text] for one, other in zip(some[::2], some[1::2], strict=False)]
    extra = dict(example.extra)
    more = ""
    value = extra.get(INPUTS[0])
    if isinstance(value, str) and (question == value or question.endswith(JOINT + value)):
        more = extra.pop(INPUTS[0])
        question = question[: len(question) - len(more)].removesuffix(JOINT)
    if history:
        fields["history"] = history
    return {"instruction": question, "input": more, **fields, **extra}


@dataclass(frozen=True)
class Alpaca:
    """Instructions with inputs and outputs."""

    key: str = OUTPUTS[0]
    id: ClassVar[str] = "alpaca"
    method: ClassVar[str] = "sft"
    words: ClassVar[str] = "instructions with outputs (Alpaca)"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has an instruction and an output."""
        return "instruction" in record and output_key(record) is not None

    def like(self, record: Mapping[str, Any]) -> Self:
        """With the answer under the same key."""
        return type(self)(output_key(record) or OUTPUTS[0])

    def problems(self, record: Any) -> Iterator[Found]:
        """No output, no instruction."""
        if not isinstance(record, dict) or not ("instruction" in record or output_key(record)):
            yield from other_format(record, self.words)
            return
        yield from prompt_problems(record)
        key = output_key(record)
        if key is None or empty(record[key]):
            yield missing("missing_answer", f"`{key or OUTPUTS[0]}` to learn")

    def to_example(self, record: Any, line: int) -> Example | None:
        """Instruction and input are the user's, the output is the assistant's."""
        if type(record) is not dict:
            return None
        key = output_key(record)
        prompt, extra = prompt_of(record)
        answer = () if key is None else (Message("assistant", as_text(record[key]), NOTHING),)
        if not prompt and not answer:
            return None
        rest = rest_of(record, known_keys(record, key) if key else known_keys(record))
        tools = tools_of(record["tools"]) if "tools" in record else ()
        return Example((*prompt, *answer), line, len(answer), tools=tools, extra={**rest, **extra} if extra else rest)

    def to_record(self, example: Example) -> dict[str, Any]:
        """One record."""
        fields = prompt_record(example)
        asked = {"instruction": fields.pop("instruction"), "input": fields.pop("input")}
        return {**asked, self.key: example.answer, **fields}
