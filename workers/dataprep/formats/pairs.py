"""prompt-completion: one prompt with its completion, as text or as lists of messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example, Message
from workers.dataprep.formats.base import (
    NOTHING,
    are_messages,
    as_text,
    message_records,
    missing,
    other_format,
    rest_of,
    tools_of,
    tools_problem,
    warned,
)
from workers.dataprep.formats.speakers import told

PAIR = frozenset({"prompt", "completion"})
_KNOWN = PAIR | {"system", "tools"}


def side(value: Any, role: str) -> tuple[Message, ...]:
    """One side of a pair: text said by `role`, or messages. An empty prompt is no message."""
    if type(value) is str:
        return (Message(role, value, NOTHING),) if value or role != "user" else ()
    if value is None or value == []:
        return ()
    if are_messages(value):
        return told(value)
    if isinstance(value, dict) and are_messages([value]):
        return told([value])
    return (Message(role, as_text(value), NOTHING),)


def as_side(some: tuple[Message, ...], role: str) -> str | list[dict[str, Any]]:
    """The text where one plain message of `role` says it, else the messages. Text that is empty is no prompt."""
    if not some:
        return ""
    one = some[0]
    alone = len(some) == 1 and one.role == role and not one.extra
    if alone and type(one.content) is str and (one.content or role != "user"):
        return one.content
    return message_records(some)


def sides(example: Example, *lists: tuple[Message, ...]) -> list[Any]:
    """The prompt and some answers: all as text, or all as messages."""
    written = [as_side(example.prompt, "user"), *(as_side(one, "assistant") for one in lists)]
    if all(type(one) is str for one in written):
        return written
    return [message_records(one) for one in (example.prompt, *lists)]


def headed(record: Mapping[str, Any], prompt: tuple[Message, ...]) -> tuple[Message, ...]:
    """The prompt with the record's `system` text before it."""
    system = record.get("system")
    if type(system) is not str or not system or (prompt and prompt[0].role == "system"):
        return prompt
    return (Message("system", system, NOTHING), *prompt)


def empty(value: Any) -> bool:
    """Whether nothing stands there. An answer of nothing but spaces is another check's business."""
    return value is None or value in ("", [], {})


@dataclass(frozen=True)
class PromptCompletion:
    """One prompt and its completion a line."""

    id: ClassVar[str] = "prompt-completion"
    method: ClassVar[str] = "sft"
    words: ClassVar[str] = "prompts with completions"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has both."""
        return "prompt" in record and "completion" in record

    def like(self, record: Mapping[str, Any]) -> Self:  # noqa: ARG002
        """There is one spelling."""
        return self

    def problems(self, record: Any) -> Iterator[Found]:
        """No completion, no prompt."""
        if not isinstance(record, dict) or not record.keys() & PAIR:
            yield from other_format(record, self.words)
            return
        if empty(record.get("completion")):
            yield missing("missing_answer", "completion to learn")
        if "prompt" not in record:
            yield missing("missing_prompt", "`prompt`")
        elif empty(record["prompt"]):
            yield warned(
                "missing_prompt",
                "The prompt is empty: the completion is learnt without a question. Fill it in, unless that is meant.",
            )
        yield from tools_problem(record.get("tools"))

    def to_example(self, record: Any, line: int) -> Example | None:
        """The prompt is the user's, the completion the assistant's."""
        if type(record) is not dict:
            return None
        prompt, completion = record.get("prompt"), record.get("completion")
        if len(record) == 2 and type(prompt) is str and prompt and type(completion) is str:
            return Example((Message("user", prompt, NOTHING), Message("assistant", completion, NOTHING)), line)
        answers = side(completion, "assistant")
        all_told = (*headed(record, side(prompt, "user")), *answers)
        if not all_told:
            return None
        tools = tools_of(record.get("tools"))
        return Example(all_told, line, len(answers), tools=tools, extra=rest_of(record, _KNOWN))

    def to_record(self, example: Example) -> dict[str, Any]:
        """Both as text where text says it all."""
        prompt, completion = sides(example, example.answers)
        tools = {"tools": example.tools} if example.tools else {}
        return {"prompt": prompt, "completion": completion, **tools, **example.extra}
