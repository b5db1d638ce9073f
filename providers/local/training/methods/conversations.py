"""Conversations into tokens: which a model reads, and which of them it learns to write.

It learns every answer of a conversation, each up to and with the token that ends it, and nothing else.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.errors import InvalidRequest

_IGNORED = -100
_NAMED = 5
"""A problem names at most so many lines."""


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


def tokenise(path: Path, tokenizer: Any, ends: frozenset[int], max_length: int) -> TokenisedFile:
    """Read and tokenise a dataset; `ends` are the tokens that end an answer.

    Raises InvalidRequest: a line that is no conversation, an answer without an end, nothing left to learn.
    """
    examples: list[Tokenised] = []
    endless: list[int] = []
    empty: list[int] = []
    shortened = 0
    for number, messages in _conversations(path):
        whole = _tokenise_one(number, messages, tokenizer, ends)
        if not any(learnt and token in ends for token, learnt in zip(whole.input_ids, whole.learnt, strict=True)):
            endless.append(number)
        cut = Tokenised(whole.input_ids[:max_length], whole.learnt[:max_length])
        shortened += len(whole.input_ids) > max_length
        if not any(cut.learnt[1:]):  # the first token is never predicted
            empty.append(number)
        examples.append(cut)
    if not examples:
        raise InvalidRequest("The training file has no examples.")
    if endless:
        raise InvalidRequest(
            f"The base model's chat template does not end answers with its end token, so the tuned model would "
            f"never stop ({_lines(endless)}). Choose a base model that was made for chat."
        )
    if empty:
        raise InvalidRequest(
            f"Nothing is left to learn in {_lines(empty)}: the question alone fills the {max_length} tokens that "
            f"fit, or the answer is empty. Shorten or remove these, or raise the maximum length."
        )
    return TokenisedFile(examples, shortened)


def _conversations(path: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                raise InvalidRequest(f"Line {number} of the training file is not JSON.") from None
            messages = record.get("messages") if isinstance(record, dict) else None
            if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
                raise InvalidRequest(f"Line {number} of the training file is not a list of messages with text.")
            yield number, messages


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str) and _has_text(message)


def _has_text(message: Mapping[str, Any]) -> bool:
    return isinstance(message.get("content"), str) or (message.get("content") is None and "tool_calls" in message)


def _tokenise_one(number: int, messages: list[dict[str, Any]], tokenizer: Any, ends: frozenset[int]) -> Tokenised:
    if any(message.get("tool_calls") for message in messages) and "tool_calls" not in tokenizer.chat_template:
        raise InvalidRequest(f"Line {number} calls a tool, which this base model's chat template has no words for.")
    told = [{**message, "content": message.get("content") or "", "role": _role(message)} for message in messages]
    text = _render(number, tokenizer, told)
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
    stop = max((place + 1 for place, flag in enumerate(learnt) if flag), default=len(input_ids))
    return Tokenised(input_ids[:stop], learnt[:stop])


def _role(message: Mapping[str, Any]) -> str:
    role = message["role"]
    return "system" if role == "developer" else str(role)


def _answer(
    number: int,
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    told: list[dict[str, Any]],
    place: int,
    text: str,
) -> tuple[int, int] | None:
    """From where to where in `text` the answer at `place` goes; None for what is not learnt."""
    if told[place]["role"] != "assistant" or messages[place].get("weight") == 0:
        return None
    before = _render(number, tokenizer, told[:place], ask=True)
    after = _render(number, tokenizer, told[: place + 1])
    if not text.startswith(before) or not text.startswith(after):
        if place < len(told) - 1:
            return None  # a template that rewrites earlier answers: only the last one is as it will be asked for
        raise InvalidRequest(
            "The base model's chat template writes an answer differently from how it asks for one. "
            "Choose another base model."
        )
    return len(before), len(after)


def _render(number: int, tokenizer: Any, messages: list[dict[str, Any]], *, ask: bool = False) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
    except TemplateError as error:
        raise InvalidRequest(f"Line {number} does not suit the base model's chat template: {error}"[:300]) from error


def _lines(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {named}{more}"
