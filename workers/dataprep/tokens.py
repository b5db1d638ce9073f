"""Counting tokens as the vendors and the models count them, offline.

A tokenizer is named: an OpenAI encoding ("o200k_base", "cl100k_base", "o200k_harmony"), or "file:PATH" of an open
model's own tokenizer.json. Text that looks like a special token counts as the plain text that it is.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

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


class Counted(NamedTuple):
    """An example's tokens."""

    total: int
    """All of them, the answer that is not wanted among them: what is billed."""
    assistant: int
    """Of its assistant messages' content alone."""
    read: int
    """What a model reads at once: the prompt with the longer of two answers. The context limits this."""
    last: int
    """Of the answer's last message, its calls of tools among them."""


def of_example(example: Example, tokenizer: str) -> Counted:
    """One example's tokens."""
    return of_examples([example], tokenizer)[0]


def of_examples(examples: Sequence[Example], tokenizer: str) -> list[Counted]:
    """Each example's tokens.

    As the cookbook counts: 3 an example, 3 a message, 1 a name, and the text of everything that is text. Tool calls
    and tools count as the JSON that they are, pictures not at all: the vendors' own figures differ a little there.
    """
    texts: list[str] = []
    ends: list[int] = []
    contents: list[int] = []
    for example in examples:
        for message in (*example.messages, *example.rejected):
            if message.text and message.role == "assistant":
                contents.append(len(texts))
            texts += _texts(message)
            ends.append(len(texts))
        if example.tools:
            texts.append(of_tools(example.tools))
        ends.append(len(texts))
    numbers = each(texts, tokenizer)
    upto = [0, *accumulate(numbers)]
    answered = frozenset(contents)
    counted, place, begin = [], 0, 0
    for example in examples:
        sizes, assistant = [], 0
        for message in (*example.messages, *example.rejected):
            end = ends[place]
            sizes.append(upto[end] - upto[begin] + _fixed(message))
            assistant += numbers[begin] if begin in answered else 0
            begin, place = end, place + 1
        tools = upto[ends[place]] - upto[begin]
        begin, place = ends[place], place + 1
        counted.append(_counted(example, sizes, assistant, TOKENS_PER_EXAMPLE + tools))
    return counted


def each(texts: Sequence[str], tokenizer: str) -> list[int]:
    """Each text's tokens; what examples share (roles, declared tools) is counted once."""
    different = list(dict.fromkeys(texts))
    sizes = dict(zip(different, counter(tokenizer)([_storable(text) for text in different]), strict=True))
    return [sizes[text] for text in texts]


def _counted(example: Example, sizes: Sequence[int], assistant: int, beside: int) -> Counted:
    """Of the sizes of an example's messages, those that are not wanted at the end."""
    wanted = len(example.messages)
    prompt = wanted - example.turns
    total = beside + sum(sizes)
    read = beside + sum(sizes[:prompt]) + max(sum(sizes[prompt:wanted]), sum(sizes[wanted:]))
    return Counted(total, assistant, read, sizes[wanted - 1] if example.turns and wanted else 0)


def _fixed(message: Message) -> int:
    return TOKENS_PER_MESSAGE + (TOKENS_PER_NAME if isinstance(message.extra.get("name"), str) else 0)


def _texts(message: Message) -> Iterator[str]:
    """Every text that counts, the content first."""
    if message.text:
        yield message.text
    yield message.role
    yield from beside(message.extra)


def beside(extra: Mapping[str, Any]) -> Iterator[str]:
    """The texts that count of a message's other keys."""
    for value in extra.values():
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, list | dict) and value:
            yield _as_json(value)


def of_tools(tools: Sequence[Mapping[str, Any]]) -> str:
    """The text of declared tools that counts; empty for none."""
    return _as_json(tools) if tools else ""


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
