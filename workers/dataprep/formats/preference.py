"""preference: the wanted and the unwanted answer to one prompt, as text, as messages or as ShareGPT writes them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example, Message
from workers.dataprep.formats.alpaca import PROMPT_KEYS, known_keys, prompt_of, prompt_record
from workers.dataprep.formats.base import (
    NOTHING,
    are_messages,
    message_records,
    messages,
    missing,
    other_format,
    rest_of,
    tools_of,
    tools_problem,
)
from workers.dataprep.formats.pairs import empty, headed, side, sides
from workers.dataprep.formats.sharegpt import beside, turns_in
from workers.dataprep.formats.speakers import as_turns, told, turn_problems

NAMES = (("chosen", "rejected"), ("text", "rejected_text"))
"""The wanted and the unwanted answer: as most write them, and as AutoTrain does."""
_KNOWN = PROMPT_KEYS | {"prompt", "question", "messages", "conversations", "conversation"}
_SPEECH = re.compile(r"\n\n(Human|Assistant):[ ]?")


def names_in(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """The keys of the two answers; either is enough to know."""
    if "chosen" in record or "rejected" in record:
        return NAMES[0]
    return NAMES[1] if "rejected_text" in record else None


def _prompt(record: Mapping[str, Any]) -> tuple[tuple[Message, ...], Mapping[str, Any]]:
    if not empty(record.get("prompt")):
        return headed(record, side(record["prompt"], "user")), NOTHING
    if "instruction" in record:
        return prompt_of(record)
    if (turns := turns_in(record)) is not None:
        return headed(record, told(turns)), NOTHING
    if "messages" in record:
        return messages(record["messages"]), NOTHING
    return headed(record, side(record.get("question"), "user")), NOTHING


def _without(whole: tuple[Message, ...], prompt: tuple[Message, ...]) -> tuple[Message, ...] | None:
    """What follows the prompt, where it stands at the beginning of a whole conversation; None where it does not."""
    for start in (prompt, prompt[1:] if prompt and prompt[0].role == "system" else ()):
        if start and start[0].role != "assistant" and len(whole) > len(start) and whole[: len(start)] == start:
            return whole[len(start) :]
    return None


def _common(one: tuple[Message, ...], other: tuple[Message, ...]) -> int:
    """How many messages two conversations share at the beginning, leaving each at least one."""
    most = min(len(one), len(other)) - 1
    return next((place for place in range(most) if one[place] != other[place]), max(most, 0))


def _transcript(text: str) -> tuple[Message, ...] | None:
    """Text in which Human and Assistant speak by turns, as the first collections of preferences have it."""
    parts = _SPEECH.split(text if text.startswith("\n\n") else "\n\n" + text)
    if len(parts) < 3 or parts[0].strip():
        return None
    roles = {"Human": "user", "Assistant": "assistant"}
    return tuple(Message(roles[who], said, NOTHING) for who, said in zip(parts[1::2], parts[2::2], strict=True))


def _same(one: str, other: str) -> int:
    """How many characters two texts share at the beginning; none where one is the beginning of the other."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return 0
    low = 0  # halving: equal up to `low`, different before `most`
    while low < most - 1:
        middle = (low + most) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            most = middle
    return low


def _split(chosen: Any, rejected: Any) -> tuple[tuple[Message, ...], tuple[Message, ...], tuple[Message, ...]]:
    """Prompt, wanted and unwanted answer of two conversations that begin alike."""
    if type(chosen) is str and type(rejected) is str:
        wanted, unwanted = _transcript(chosen), _transcript(rejected)
        if wanted is None or unwanted is None:
            same = _same(chosen, rejected)
            cut = max(chosen.rfind(" ", 0, same), chosen.rfind("\n", 0, same)) + 1
            return side(chosen[:cut], "user"), side(chosen[cut:], "assistant"), side(rejected[cut:], "assistant")
    else:
        wanted, unwanted = side(chosen, "assistant"), side(rejected, "assistant")
    cut = _common(wanted, unwanted)
    return wanted[:cut], wanted[cut:], unwanted[cut:]


@dataclass(frozen=True)
class Preference:
    """Two answers to one prompt, in every common spelling; `shape` is how records are written back."""

    shape: str = "pair"
    id: ClassVar[str] = "preference"
    method: ClassVar[str] = "dpo"
    words: ClassVar[str] = "pairs of a wanted and an unwanted answer"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has both answers."""
        return any(one in record and other in record for one, other in NAMES)

    def like(self, record: Mapping[str, Any]) -> Self:
        """With the prompt where this record has it."""
        if names_in(record) == NAMES[1]:
            return type(self)("autotrain")
        if "prompt" not in record and turns_in(record) is not None:
            return type(self)("sharegpt")
        return type(self)("alpaca" if "prompt" not in record and "instruction" in record else "pair")

    def problems(self, record: Any) -> Iterator[Found]:
        """No wanted answer, no unwanted one, no prompt."""
        names = names_in(record) if isinstance(record, dict) else None
        if names is None:
            yield from other_format(record, self.words)
            return
        wanted, unwanted = names
        if empty(record.get(wanted)):
            yield missing("missing_answer", f"`{wanted}` answer")
        if empty(record.get(unwanted)):
            yield missing("missing_rejected", f"`{unwanted}` answer to compare with")
        for name in names:
            if are_messages(record.get(name)):
                yield from turn_problems(record[name])
        if isinstance(turns_in(record), list):
            yield from turn_problems(turns_in(record))
        example = self.to_example(record, 0)
        if example is not None and not example.prompt and not empty(record.get(unwanted)):
            words = "The two answers have no prompt, given or as a common beginning. Give one, or leave them out."
            yield Found("missing_prompt", words, fix="drop")
        yield from tools_problem(record.get("tools"))

    def to_example(self, record: Any, line: int) -> Example | None:
        """The wanted answer follows the prompt; the unwanted one stands beside."""
        names = names_in(record) if type(record) is dict else None
        if names is None:
            return None
        wanted, unwanted = record.get(names[0]), record.get(names[1])
        prompt, extra = _prompt(record)
        if prompt:
            chosen, rejected = side(wanted, "assistant"), side(unwanted, "assistant")
            after, after_rejected = _without(chosen, prompt), _without(rejected, prompt)
            if after is not None and after_rejected is not None:
                chosen, rejected = after, after_rejected
        else:
            prompt, chosen, rejected = _split(wanted, unwanted)
        if not prompt and not chosen:
            return None
        tools = tools_of(record["tools"]) if "tools" in record else ()
        known = known_keys(record) | _KNOWN if "instruction" in record else _KNOWN
        rest = rest_of(record, known.union(names))
        if extra:
            rest = {**rest, **extra}
        return Example((*prompt, *chosen), line, len(chosen), rejected=rejected, tools=tools, extra=rest)

    def to_record(self, example: Example) -> dict[str, Any]:
        """One record of this shape."""
        wanted, unwanted = NAMES[1] if self.shape == "autotrain" else NAMES[0]
        if self.shape == "alpaca":
            fields = prompt_record(example)
            return {**fields, wanted: example.answer, unwanted: "".join(one.text for one in example.rejected)}
        if self.shape == "sharegpt":
            fields = beside(example)
            turns = as_turns(example.prompt[1:] if "system" in fields else example.prompt)
            chosen, rejected = as_turns(example.answers), as_turns(example.rejected)
            one = len(chosen) == len(rejected) == 1
            answers = {wanted: chosen[0], unwanted: rejected[0]} if one else {wanted: chosen, unwanted: rejected}
            return {"conversations": turns, **answers, **fields, **example.extra}
        prompt, chosen, rejected = sides(example, example.answers, example.rejected)
        tools = {"tools": example.tools} if example.tools else {}
        return {"prompt": prompt, wanted: chosen, unwanted: rejected, **tools, **example.extra}


_INPUT = frozenset({"messages", "tools"})
_OUTPUTS = ("preferred_output", "non_preferred_output")


@dataclass(frozen=True)
class OpenAIPreference:
    """Two answers to one conversation, as OpenAI writes them."""

    id: ClassVar[str] = "openai-preference"
    method: ClassVar[str] = "dpo"
    words: ClassVar[str] = "OpenAI preference pairs"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has an `input` and one of the outputs."""
        return "input" in record and any(key in record for key in _OUTPUTS)

    def like(self, record: Mapping[str, Any]) -> Self:  # noqa: ARG002
        """There is one spelling."""
        return self

    def problems(self, record: Any) -> Iterator[Found]:
        """Lists of messages that are missing or empty."""
        if not isinstance(record, dict) or not record.keys() & {"input", *_OUTPUTS}:
            yield from other_format(record, self.words)
            return
        given = record.get("input")
        if not isinstance(given, dict) or not are_messages(given.get("messages")):
            yield Found(
                "missing_messages_list",
                "There is no list of messages in `input`. Fill it in, or leave the example out.",
                fix="drop",
            )
        else:
            yield from turn_problems(given["messages"])
            yield from tools_problem(given.get("tools"))
        for key, check in zip(_OUTPUTS, ("missing_answer", "missing_rejected"), strict=True):
            if not are_messages(record.get(key)):
                yield Found(
                    check, f"There is no list of messages in `{key}`. Fill it in, or leave the example out.", fix="drop"
                )
            else:
                yield from turn_problems(record[key])

    def to_example(self, record: Any, line: int) -> Example | None:
        """The preferred output follows the input."""
        if type(record) is not dict:
            return None
        given = record.get("input")
        given = given if type(given) is dict else NOTHING
        prompt, chosen = messages(given.get("messages")), messages(record.get(_OUTPUTS[0]))
        rejected = messages(record.get(_OUTPUTS[1]))
        if not prompt and not chosen:
            return None
        tools = tools_of(given.get("tools")) or tools_of(given.get("functions"))
        extra = rest_of(given, _INPUT)
        rest = rest_of(record, frozenset({"input", *_OUTPUTS}))
        return Example(
            (*prompt, *chosen),
            line,
            len(chosen),
            rejected=rejected,
            tools=tools,
            extra={**rest, **extra} if rest else extra,
        )

    def to_record(self, example: Example) -> dict[str, Any]:
        """One line; other keys stand in `input`, where OpenAI has its settings."""
        tools = {"tools": example.tools} if example.tools and "functions" not in example.extra else {}
        return {
            "input": {"messages": message_records(example.prompt), **tools, **example.extra},
            _OUTPUTS[0]: message_records(example.answers),
            _OUTPUTS[1]: message_records(example.rejected),
        }
