"""Conversations into tokens: which a model reads, and which of them it learns to write.

It learns every answer of a conversation, each up to and with the token that ends it, and nothing else; of plain text
it learns everything. `Answered` is the same for one answer that is compared with others.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.errors import InvalidRequest
from providers.local.plain_template import begins

_IGNORED = -100
_NAMED = 5
"""A problem names at most so many lines."""
Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Tokenised:
    """One example: its tokens, and for each whether it is learnt."""

    input_ids: list[int]
    learnt: list[int]

    @property
    def labels(self) -> list[int]:
        """The tokens that are learnt; a mark that the loss ignores in the places of all others."""
        return [token if learnt else _IGNORED for token, learnt in zip(self.input_ids, self.learnt, strict=True)]


@dataclass(frozen=True)
class Answered:
    """The tokens of a prompt and of one answer to it."""

    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True)
class TokenisedFile:
    """A dataset's examples in order; `shortened` of them were cut at the maximum length."""

    examples: Sequence[Tokenised]
    shortened: int

    @property
    def columns(self) -> dict[str, list[list[int]]]:
        """As TRL wants them when they are tokenised already."""
        return {
            "input_ids": [one.input_ids for one in self.examples],
            "labels": [one.labels for one in self.examples],
        }


def tokenise(
    path: Path, tokenizer: Any, ends: frozenset[int], max_length: int, *, everything: bool = False
) -> TokenisedFile:
    """Read and tokenise a dataset; `ends` are the tokens that end an answer.

    `everything`: the prompts are learnt too. A plain text that is longer than `max_length` becomes several examples.
    Raises InvalidRequest: a line that is no conversation, an answer without an end, nothing left to learn.
    """
    examples: list[Tokenised] = []
    endless: list[int] = []
    empty: list[int] = []
    shortened = 0
    for number, record in records(path):
        messages = messages_of(number, record.get("messages"))
        if is_plain_text(messages):
            parts = _plain_text(str(messages[0]["content"]), tokenizer, max_length)
            examples += parts
            if not parts:
                empty.append(number)
            continue
        whole = tokenise_one(number, messages, tokenizer, ends)
        if not any(learnt and token in ends for token, learnt in zip(whole.input_ids, whole.learnt, strict=True)):
            endless.append(number)
        learnt = [1] * len(whole.learnt) if everything else whole.learnt
        cut = Tokenised(whole.input_ids[:max_length], learnt[:max_length])
        shortened += len(whole.input_ids) > max_length
        if not any(cut.learnt[1:]):  # the first token is never predicted
            empty.append(number)
        examples.append(cut)
    if not examples and not empty:
        raise InvalidRequest("The training file has no examples.")
    check_ends(endless)
    check_left(empty, max_length)
    return TokenisedFile(examples, shortened)


def check_ends(endless: Sequence[int]) -> None:
    """Refuse lines whose answers the template does not end. Raises InvalidRequest."""
    if endless:
        raise InvalidRequest(
            f"The base model's chat template does not end answers with its end token, so the tuned model would "
            f"never stop ({in_words(endless)}). Choose a base model that was made for chat."
        )


def check_left(empty: Sequence[int], max_length: int) -> None:
    """Refuse lines of which nothing is left to learn. Raises InvalidRequest."""
    if empty:
        raise InvalidRequest(
            f"Nothing is left to learn in {in_words(empty)}: the question alone fills the {max_length} tokens that "
            f"fit, or the answer is empty. Shorten or remove these, or raise the maximum length."
        )


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a file that are not empty, with their numbers. Raises InvalidRequest."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                raise InvalidRequest(f"Line {number} of the training file is not JSON.") from None
            yield number, record if isinstance(record, dict) else {}


def messages_of(number: int, told: Any, role: str = "") -> Messages:
    """A conversation, or a text that stands for one message of `role`. Raises InvalidRequest."""
    if role and isinstance(told, str):
        return [{"role": role, "content": told}]
    if not isinstance(told, list) or not told or not all(map(_is_message, told)):
        raise InvalidRequest(f"Line {number} of the training file is not a list of messages with text.")
    return told


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str) and _has_text(message)


def _has_text(message: Mapping[str, Any]) -> bool:
    return isinstance(message.get("content"), str) or (message.get("content") is None and "tool_calls" in message)


def is_plain_text(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it is text that answers nothing."""
    return len(messages) == 1 and messages[0]["role"] == "assistant" and isinstance(messages[0].get("content"), str)


def _plain_text(text: str, tokenizer: Any, max_length: int) -> list[Tokenised]:
    """A text and its end, in pieces that fit; everything in them is learnt."""
    tokens = list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text.strip() else []
    if not tokens:
        return []
    whole = [*([tokenizer.bos_token_id] if begins(tokenizer) else []), *tokens, tokenizer.eos_token_id]
    pieces = [whole[start : start + max_length] for start in range(0, len(whole), max_length)]
    return [Tokenised(one, [1] * len(one)) for one in pieces if len(one) > 1]


def answered(number: int, prompt: Messages, answer: Messages, tokenizer: Any, ends: frozenset[int]) -> Answered:
    """A prompt and one answer to it, as the model reads and writes them. Raises InvalidRequest."""
    said = [{**one, "weight": 0} for one in prompt]
    whole = tokenise_one(number, [*said, *answer], tokenizer, ends)
    begin = whole.learnt.index(1)
    return Answered(whole.input_ids[:begin], whole.input_ids[begin:])


def tokenise_one(number: int, messages: Messages, tokenizer: Any, ends: frozenset[int]) -> Tokenised:
    """One conversation; the answers that are learnt are marked. Raises InvalidRequest, naming the line."""
    if any(message.get("tool_calls") for message in messages) and "tool_calls" not in tokenizer.chat_template:
        raise InvalidRequest(f"Line {number} calls a tool, which this base model's chat template has no words for.")
    told = [{**message, "content": message.get("content") or "", "role": _role(message)} for message in messages]
    text = render(number, tokenizer, told)
    spans = [span for place in range(len(told)) if (span := _answer(number, tokenizer, messages, told, place, text))]
    if not spans:
        raise InvalidRequest(f"Line {number} has no answer to learn.")
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    input_ids = list(encoded["input_ids"])
    offsets: list[tuple[int, int]] = encoded["offset_mapping"]
    learnt = [0] * len(input_ids)
    for begin, end in spans:
        inside = [place for place, (left, right) in enumerate(offsets) if begin <= left < end and right > left]
        last = next((place for place in inside if input_ids[place] in ends), inside[-1] if inside else -1)
        for place in inside:
            if place <= last:
                learnt[place] = 1
    if not any(learnt):
        raise InvalidRequest(f"Line {number} has no answer to learn: it is empty.")
    stop = max(place + 1 for place, flag in enumerate(learnt) if flag)
    return Tokenised(input_ids[:stop], learnt[:stop])


def _role(message: Mapping[str, Any]) -> str:
    role = message["role"]
    return "system" if role == "developer" else str(role)


def _answer(
    number: int,
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    told: Messages,
    place: int,
    text: str,
) -> tuple[int, int] | None:
    """From where to where in `text` the answer at `place` goes; None for what is not learnt."""
    if told[place]["role"] != "assistant" or messages[place].get("weight") == 0:
        return None
    before = render(number, tokenizer, told[:place], ask=True)
    after = render(number, tokenizer, told[: place + 1])
    if not text.startswith(before) or not text.startswith(after):
        if place < len(told) - 1:
            return None  # a template that rewrites earlier answers: only the last one is as it will be asked for
        raise InvalidRequest(
            "The base model's chat template writes an answer differently from how it asks for one. "
            "Choose another base model."
        )
    return len(before), len(after)


def render(number: int, tokenizer: Any, messages: Messages, *, ask: bool = False) -> str:
    """The conversation as the model's template writes it; `ask`: up to where it would answer. Raises InvalidRequest."""
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
    except TemplateError as error:
        raise InvalidRequest(f"Line {number} does not suit the base model's chat template: {error}"[:300]) from error


def in_words(numbers: Sequence[int]) -> str:
    """Lines by their numbers, the first few of them."""
    named = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {named}{more}"
