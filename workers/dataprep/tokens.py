"""Counting tokens as the vendors and the models count them, offline.

A tokenizer is named: an OpenAI encoding ("o200k_base", "cl100k_base", "o200k_harmony"), or "file:PATH" of an open
model's own tokenizer.json. Text that looks like a special token counts as the plain text that it is.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import orjson

from workers.dataprep.example import Example, Message
from workers.errors import UserError

ENCODINGS = ("o200k_base", "cl100k_base", "o200k_harmony")
DEFAULT = "o200k_base"
TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_PER_EXAMPLE = 3
TARGET_EPOCHS = 3
LEAST_TARGET_EXAMPLES = 100
MOST_TARGET_EXAMPLES = 25_000
MOST_DEFAULT_EPOCHS = 25

CountBatch = Callable[[Sequence[str]], list[int]]


@lru_cache(maxsize=8)
def counter(tokenizer: str) -> CountBatch:
    """What counts many texts at once with this tokenizer, on one core. Raises UserError for one that is not there."""
    if tokenizer in ENCODINGS:
        import toktok

        return lambda texts: toktok.batch_count(texts, tokenizer, 1)
    if tokenizer.startswith("file:"):
        return _of_file(tokenizer.removeprefix("file:"))
    raise UserError(
        f"There is no tokenizer {tokenizer!r}. Name one of {', '.join(ENCODINGS)}, or file:PATH of a model's "
        "tokenizer.json."
    )


def _of_file(path: str) -> CountBatch:
    from tokenizers import Tokenizer

    try:
        made = Tokenizer.from_file(path)
    except Exception as error:  # the library raises bare Exceptions
        raise UserError(f"The tokenizer file {path} could not be read: {str(error)[:200]}") from error
    made.no_truncation()
    made.no_padding()
    return lambda texts: [
        len(one.ids) for one in made.encode_batch_fast([*map(_storable, texts)], add_special_tokens=False)
    ]


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def count(text: str, tokenizer: str = DEFAULT) -> int:
    """Tokens of one text."""
    return counter(tokenizer)([_storable(text)])[0] if text else 0


def of_example(example: Example, tokenizer: str) -> tuple[int, int]:
    """Tokens of a whole example, and of its assistant messages' content alone."""
    return of_examples([example], tokenizer)[0]


def of_examples(examples: Sequence[Example], tokenizer: str) -> list[tuple[int, int]]:
    """Each example's tokens: all of them, and its assistant messages' content alone.

    As the cookbook counts: 3 an example, 3 a message, 1 a name, and the text of everything that is text. Tool calls
    and tools count as the JSON that they are, pictures not at all: the vendors' own figures differ a little there.
    """
    texts: list[str] = []
    owners: list[tuple[int, bool]] = []
    fixed = []
    for place, example in enumerate(examples):
        fixed.append(TOKENS_PER_EXAMPLE + sum(_fixed(message) for message in _all(example)))
        for text, is_answer in _texts(example):
            texts.append(_storable(text))
            owners.append((place, is_answer))
    answers = [0] * len(examples)
    for (place, is_answer), number in zip(owners, counter(tokenizer)(texts), strict=True):
        fixed[place] += number
        if is_answer:
            answers[place] += number
    return list(zip(fixed, answers, strict=True))


def _all(example: Example) -> Iterator[Message]:
    yield from example.messages
    yield from example.rejected


def _fixed(message: Message) -> int:
    return TOKENS_PER_MESSAGE + (TOKENS_PER_NAME if isinstance(message.extra.get("name"), str) else 0)


def _texts(example: Example) -> Iterator[tuple[str, bool]]:
    """Every text that counts, and whether it is an assistant's content."""
    for message in _all(example):
        yield message.role, False
        if message.text:
            yield message.text, message.role == "assistant"
        for value in message.extra.values():
            if isinstance(value, str) and value:
                yield value, False
            elif isinstance(value, list | dict) and value:
                yield _as_json(value), False
    if example.tools:
        yield _as_json(example.tools), False


def _as_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # what only the exact parser reads, such as a number beyond 64 bits
        return json.dumps(value, ensure_ascii=False, default=str)


def default_epochs(examples: int) -> int:
    """The number of epochs that OpenAI's cookbook computes for a dataset of this size."""
    if examples == 0:
        return TARGET_EPOCHS
    if examples * TARGET_EPOCHS < LEAST_TARGET_EXAMPLES:
        return min(MOST_DEFAULT_EPOCHS, LEAST_TARGET_EXAMPLES // examples)
    if examples * TARGET_EPOCHS > MOST_TARGET_EXAMPLES:
        return max(1, MOST_TARGET_EXAMPLES // examples)
    return TARGET_EPOCHS
