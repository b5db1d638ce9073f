"""One pass over a dataset: blocks of lines become findings, counts and the numbers that tell examples apart.

A block's result is small, can be sent between processes, and adds up with the others in the file's order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice

import numpy as np
import numpy.typing as npt
import orjson

from workers.dataprep import judge, near, quick, tokens
from workers.dataprep.blocks import Batch, Block, batches
from workers.dataprep.checks import (
    PRIVATE_CHECKS,
    Found,
    Severity,
    missing_system_message,
    mojibake,
    personal,
    secrets,
)
from workers.dataprep.checks.odd_ones import Told
from workers.dataprep.checks.whole import Tallies, told_of
from workers.dataprep.duplicates import Records
from workers.dataprep.example import Example
from workers.dataprep.fingerprints import ROLES, Hashes, of_examples
from workers.dataprep.formats import Detected
from workers.dataprep.notes import Notes
from workers.dataprep.quick import ASSISTANT, DEVELOPER, TOOL, USER, Proven
from workers.dataprep.spread import Histogram

MOST_SAMPLES = 3
LOOKED_AT_ONCE = 16
"""Lines that a scanner looks at together, where something is in their batch."""
Counts = npt.NDArray[np.int64]
MISSING_SYSTEM = next(iter(missing_system_message({"messages": [{"role": "user", "content": "?"}]})))


@dataclass(frozen=True)
class Rules:
    """What every block is judged by."""

    detected: Detected
    tokenizer: str = tokens.DEFAULT
    context: int = 16_385
    max_line_bytes: int = 64_000_000
    deep: bool = True
    common: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))


@dataclass
class Part:
    """What a part of the file holds."""

    lines: int = 0
    bytes: int = 0
    examples: int = 0
    notes: Notes = field(default_factory=Notes)
    totals: Histogram = field(default_factory=Histogram)
    answers: Histogram = field(default_factory=Histogram)
    messages: Histogram = field(default_factory=Histogram)
    samples: list[Example] = field(default_factory=list)
    tallies: Tallies = field(default_factory=Tallies)
    prompts: list[Records] = field(default_factory=list)
    """(prompt's hash, example's hash, line) of each example."""
    bands: list[Records] = field(default_factory=list)
    """(band, line, offset, sketch) of each example that is long enough to be nearly another."""


def scan(rules: Rules, block: Block) -> Part:
    """Judge the lines that begin in the block."""
    part = Part(bytes=block.end - block.start)
    part.tallies.odd.languages = rules.deep
    for batch in batches(block, rules.max_line_bytes):
        _batch(rules, part, batch)
        part.lines += len(batch.lines)
    part.prompts = _by_line(part.prompts, 2)
    part.bands = _by_line(part.bands, 1)
    return part


def _by_line(pieces: list[Records], column: int) -> list[Records]:
    """The records as one piece in the lines' order: within a batch the plain ones came first."""
    if not pieces:
        return []
    whole = np.concatenate(pieces)
    return [whole[np.argsort(whole[:, column], kind="stable")]]


def _batch(rules: Rules, part: Part, batch: Batch) -> None:
    others: list[int] | range = range(len(batch.lines))
    told: list[Told] = []
    few = len(part.samples) < MOST_SAMPLES
    private = _places(batch, _may_be_private) if rules.deep else frozenset()
    if quick.has_shape(rules.detected.format.id):
        garbled = _places(batch, mojibake.may_have)
        plain, others = quick.prove(rules.detected.format.id, batch.data, batch.lines, garbled)
        for proven in plain:
            if len(proven.places):
                _proven(rules, part, batch, proven, private)
                told += _told(proven, proven.places + part.lines)
                if few:
                    _sample(part, (_example(rules, part, batch, place) for place in proven.places.tolist()))
    exact: list[tuple[int, Example]] = []
    for place in others:
        last = batch.cut and place == len(batch.lines) - 1
        line = part.lines + place
        judged = judge.line(batch.lines[place], rules.detected, line, cut=last, most=rules.max_line_bytes)
        for found in judged.founds:
            part.notes.add(found, line)
        if judged.example is not None:
            exact.append((place, judged.example))
            if few and not judged.has_error:
                _sample(part, [judged.example])
    if exact:
        _exact(rules, part, batch, exact, private)
        told += [told_of(part.lines + place, example) for place, example in exact]
    part.tallies.add_told(sorted(told))


def _proven(rules: Rules, part: Part, batch: Batch, proven: Proven, private: frozenset[int]) -> None:
    """Plain examples, all at once."""
    numbers = np.array(tokens.counter(rules.tokenizer)(proven.texts), np.int64)
    lengths = proven.lengths
    sizes = numbers + _role_tokens(rules.tokenizer)[proven.roles] + tokens.TOKENS_PER_MESSAGE
    beside = np.full(len(lengths), tokens.TOKENS_PER_EXAMPLE)
    if proven.told:
        sizes += tokens.each([text for told in proven.told for text in told.beside], rules.tokenizer)
        beside += tokens.each([told.declared.counted for told in proven.told], rules.tokenizer)
    totals = np.add.reduceat(sizes, proven.starts) + beside
    answers = np.add.reduceat(np.where(proven.roles == ASSISTANT, numbers, 0), proven.starts)
    lines = proven.places + part.lines
    whole, prompt = proven.fingerprints()
    _count(part, totals, answers, lengths)
    _roles(part, proven, lines)
    _headless(part, lines[proven.roles[proven.starts] >= USER], rules)
    _too_long(rules, part, lines, totals, sizes[proven.starts + lengths - 1])
    part.prompts.append(np.stack([prompt, whole, lines.astype(np.uint64)], axis=1))
    if rules.deep:
        for place in sorted(private.intersection(proven.places.tolist())):
            _private(part, part.lines + place, _example(rules, part, batch, place))
        spoken = proven.roles >= USER
        owners = np.repeat(np.arange(len(lines)), lengths)[spoken]
        texts = [text for text, keep in zip(proven.texts, spoken.tolist(), strict=True) if keep]
        _near(rules, part, batch, proven.places, texts, owners)


def _sample(part: Part, examples: Iterable[Example]) -> None:
    """Keep these examples' first, if they are the part's first."""
    some = [*part.samples, *islice(examples, MOST_SAMPLES)]
    part.samples = sorted(some, key=lambda one: one.line)[:MOST_SAMPLES]


def _example(rules: Rules, part: Part, batch: Batch, place: int) -> Example:
    """The example of a proven line."""
    made = rules.detected.format.to_example(orjson.loads(batch.lines[place] or b""), part.lines + place)
    assert made is not None
    return made


def _exact(rules: Rules, part: Part, batch: Batch, exact: list[tuple[int, Example]], private: frozenset[int]) -> None:
    """Examples that went the exact way."""
    places = np.array([place for place, _ in exact], np.int64)
    examples = [example for _, example in exact]
    lines = places + part.lines
    counted = np.array(tokens.of_examples(examples, rules.tokenizer), np.int64)
    _count(part, counted[:, 0], counted[:, 1], np.array([len(one.messages) for one in examples], np.int64))
    _too_long(rules, part, lines, counted[:, 2], counted[:, 3])
    whole, prompt = of_examples(examples)
    part.prompts.append(np.stack([prompt, whole, lines.astype(np.uint64)], axis=1))
    for place, example in exact:
        part.tallies.add_beside(part.lines + place, example)
        if place in private:
            _private(part, part.lines + place, example)
    if rules.deep:
        texts, owners = near.told(examples)
        _near(rules, part, batch, places, texts, owners)


def _count(part: Part, totals: Counts, answers: Counts, lengths: Counts) -> None:
    part.examples += len(totals)
    part.totals.add(totals)
    part.answers.add(answers)
    part.messages.add(lengths)


def _headless(part: Part, lines: Counts, rules: Rules) -> None:
    """Plain conversations without a system message (as `checks.missing_system_message` finds them)."""
    if rules.detected.format.id == "openai-chat" and lines.size:
        part.notes.add_several(lines, lambda _: MISSING_SYSTEM)


def _too_long(rules: Rules, part: Part, lines: Counts, totals: Counts, last: Counts) -> None:
    """Examples of more tokens than the model reads."""
    over = np.flatnonzero(totals > rules.context)
    emptied = (totals[over] - rules.context >= last[over]) & (last[over] > 0)
    for which, words in ((over[~emptied], _cut_words), (over[emptied], _emptied_words)):
        if which.size:
            figures = dict(zip(lines[which].tolist(), totals[which].tolist(), strict=True))
            part.notes.add_several(lines[which], partial(_over, words, figures, rules.context))


def _over(words: Callable[[int, int], Found], totals: Mapping[int, int], limit: int, line: int) -> Found:
    return words(totals[line], limit)


def _cut_words(total: int, limit: int) -> Found:
    words = (
        f"{total:,} tokens, over the model's limit of {limit:,}: the last {total - limit:,} tokens of the answer are "
        "cut off and not learnt. Shorten the example, or choose a model with a longer context."
    )
    return Found(check="over_token_limit", words=words, severity=Severity.WARNING)


def _emptied_words(total: int, limit: int) -> Found:
    words = (
        f"{total:,} tokens, over the model's limit of {limit:,}: the whole answer is cut off, so nothing is learnt "
        "from it. Shorten the example, or leave it out."
    )
    return Found(check="over_token_limit", words=words, severity=Severity.WARNING)


def _roles(part: Part, proven: Proven, lines: Counts) -> None:
    """The roles of plain examples that not every provider takes."""
    places = np.flatnonzero((proven.roles == DEVELOPER) | (proven.roles == TOOL))
    owners = np.searchsorted(proven.starts, places, "right") - 1
    numbers = places - proven.starts[owners] + 1
    for line, number, role in zip(lines[owners].tolist(), numbers.tolist(), proven.roles[places].tolist(), strict=True):
        part.tallies.demands.add_role(line, number, ROLES[role])


def _told(proven: Proven, lines: Counts) -> Iterator[Told]:
    """The first questions and last answers of plain examples."""
    asks = proven.starts + (proven.roles[proven.starts] < USER)
    ends = proven.starts + proven.lengths - 1
    questions = map(proven.texts.__getitem__, asks.tolist())
    answers = map(proven.texts.__getitem__, ends.tolist())
    return zip(lines.tolist(), questions, answers, proven.lengths.tolist(), strict=True)


def _places(batch: Batch, may_have: Callable[[bytes], bool]) -> frozenset[int]:
    """The places of the lines that a scanner does not clear; it looks at some of them at once, and at all at first."""
    if not may_have(batch.data):
        return frozenset()
    found = []
    for start in range(0, len(batch.lines), LOOKED_AT_ONCE):
        some = batch.lines[start : start + LOOKED_AT_ONCE]
        if may_have(b"\n".join(line or b"" for line in some)):
            found += [start + place for place, line in enumerate(some) if line is not None and may_have(line)]
    return frozenset(found)


def _may_be_private(data: bytes) -> bool:
    return secrets.may_have(data) or personal.may_have(data)


def _private(part: Part, line: int, example: Example) -> None:
    """Secrets and personal data in one example."""
    for check in PRIVATE_CHECKS:
        for found in check(example):
            part.notes.add(found, line)


def _near(rules: Rules, part: Part, batch: Batch, places: Counts, texts: list[str], owners: Counts) -> None:
    """Leave the numbers by which near-duplicates are found."""
    numbers, bands = near.signatures(texts, owners, rules.common)
    if len(numbers):
        chosen = places[numbers]
        part.bands.append(near.records(bands, chosen + part.lines, batch.offsets()[chosen]))


@lru_cache(maxsize=4)
def _role_tokens(tokenizer: str) -> Counts:
    return np.array(tokens.counter(tokenizer)(ROLES), np.int64)
