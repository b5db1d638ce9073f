"""Pairs of a wanted and an unwanted answer to one prompt, into tokens: for DPO and ORPO.

    {"prompt": [messages], "chosen": [messages], "rejected": [messages]}

Each answer is written as a chat with the model would write it, and ends with its end token.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from providers.errors import InvalidRequest
from providers.local.training.methods.base import Learnable, Reading
from providers.local.training.methods.conversations import (
    Answered,
    Messages,
    answered,
    check_ends,
    check_left,
    in_words,
    messages_of,
    records,
)

COLUMNS = ("prompt_ids", "chosen_ids", "rejected_ids")


def read(path: Path, reading: Reading) -> Learnable:
    """The pairs of a file, tokenised and cut at the maximum length. Raises InvalidRequest."""
    most = reading.knobs.max_length
    columns: dict[str, list[list[int]]] = {name: [] for name in COLUMNS}
    endless: list[int] = []
    empty: list[int] = []
    alike: list[int] = []
    shortened = longest = 0
    for number, record in records(path):
        prompt, chosen, rejected = _sides(number, record)
        if prompt is None or _is_empty(chosen):
            empty.append(number)
            continue
        wanted = answered(number, prompt, chosen, reading.tokenizer, reading.ends)
        unwanted = answered(number, prompt, rejected, reading.tokenizer, reading.ends)
        wanted, unwanted = _from_one_prompt(wanted, unwanted)
        if wanted.answer == unwanted.answer:
            alike.append(number)
            continue
        if not _ends(wanted, reading) or not _ends(unwanted, reading):
            endless.append(number)
        room = most - len(wanted.prompt)
        if room < 1:
            empty.append(number)
            continue
        parts = (wanted.prompt, wanted.answer[:room], unwanted.answer[:room])
        shortened += max(len(wanted.answer), len(unwanted.answer)) > room
        longest = max(longest, len(parts[0]) + max(len(parts[1]), len(parts[2])))
        for name, tokens in zip(COLUMNS, parts, strict=True):
            columns[name].append(tokens)
    check_ends(endless)
    check_left(empty, most)
    if not columns["prompt_ids"]:
        why = f" Both answers are the same in {in_words(alike)}." if alike else ""
        raise InvalidRequest(f"The training file has no pairs of answers to learn from.{why}")
    return Learnable(columns, longest, _warnings(shortened, most, alike))


def _sides(number: int, record: Mapping[str, Any]) -> tuple[Messages | None, Messages, Messages]:
    """Prompt, wanted and unwanted answer; no prompt for an empty one."""
    prompt = record.get("prompt")
    if not prompt:
        return None, [], []
    told = messages_of(number, prompt, "user")
    chosen, rejected = (messages_of(number, record.get(name), "assistant") for name in ("chosen", "rejected"))
    return told, chosen, rejected


def _is_empty(answer: Messages) -> bool:
    return not any(str(one.get("content") or "").strip() or one.get("tool_calls") for one in answer)


def _ends(one: Answered, reading: Reading) -> bool:
    return bool(one.answer) and one.answer[-1] in reading.ends


def _from_one_prompt(wanted: Answered, unwanted: Answered) -> tuple[Answered, Answered]:
    """Both from the same tokens on: where the first word of one joins the prompt's end, that end is of the answers."""
    same = 0
    for one, other in zip(wanted.prompt, unwanted.prompt, strict=False):
        if one != other:
            break
        same += 1
    return _from(wanted, same), _from(unwanted, same)


def _from(one: Answered, begin: int) -> Answered:
    return Answered(one.prompt[:begin], [*one.prompt[begin:], *one.answer])


def _warnings(shortened: int, most: int, alike: Sequence[int]) -> list[str]:
    said = []
    if shortened:
        said.append(f"{shortened} pairs are longer than {most} tokens and were cut there.")
    if alike:
        said.append(f"Left out: both answers are the same in {in_words(alike)}.")
    return said
