"""A dataset's report: every finding with its place, exact counts, token statistics. One pass, bounded lists."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workers.dataprep import tokens
from workers.dataprep.checks import CHAT_CHECKS, Found, Severity
from workers.dataprep.example import Example
from workers.dataprep.formats import detect, open_dataset
from workers.dataprep.lines import Record
from workers.dataprep.tokens import Spread

MOST_FINDINGS = 100
"""Findings listed per check; the counts are exact all the same."""
FEW_EXAMPLES = 10
DEFAULT_TOKEN_LIMIT = 16_385


@dataclass(frozen=True)
class Finding:
    """One check's result at one place. `line` counts from 1; `message` is in words; `fix` names a repair."""

    severity: Severity
    check: str
    message: str
    line: int | None = None
    fix: str = ""


@dataclass(frozen=True)
class DatasetReport:
    """Everything known about a dataset's file."""

    path: str
    sha256: str
    format: str
    method: str
    examples: int
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    tokenizer: str
    tokens: Spread
    assistant_tokens: Spread
    epochs: int
    billed_tokens: int
    errors: int = 0
    samples: tuple[Example, ...] = field(default=(), compare=False)

    @property
    def trainable(self) -> bool:
        """Whether it has examples and no errors."""
        return self.examples > 0 and self.errors == 0

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "format": self.format,
            "method": self.method,
            "examples": self.examples,
            "trainable": self.trainable,
            "findings": [{**asdict(one), "severity": str(one.severity)} for one in self.findings],
            "counts": dict(self.counts),
            "tokens": {
                "tokenizer": self.tokenizer,
                **self.tokens.to_json(),
                "assistant": self.assistant_tokens.to_json(),
            },
            "epochs": self.epochs,
            "billed_tokens": self.billed_tokens,
        }


class _Notes:
    """Collects findings: exact counts, capped lists."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self.errors = 0

    def add(self, found: Found, line: int | None) -> None:
        self.counts[found.check] += 1
        self.errors += found.severity is Severity.ERROR
        if self.counts[found.check] <= MOST_FINDINGS:
            where = f"Message {found.message}: " if found.message else ""
            self.findings.append(Finding(found.severity, found.check, where + found.words, line, found.fix))


def check_file(
    path: Path,
    *,
    name: str | None = None,
    tokenizer: str = "o200k_base",
    token_limit: int = DEFAULT_TOKEN_LIMIT,
    max_bytes: int = 1_000_000_000,
) -> DatasetReport:
    """Check a file. Raises workers.dataprep.lines.UnreadableDataset if it is no dataset at all."""
    dataset_format, encoding = detect(path, max_bytes)
    notes = _Notes()
    totals: list[int] = []
    answers: list[int] = []
    samples: list[Example] = []
    seen: dict[bytes, int] = {}
    examples = 0
    for record, example in open_dataset(path, dataset_format, encoding):
        before = notes.errors
        for found in _judge(record, example, dataset_format.to_messages):
            notes.add(found, record.line)
        if record.problem or example is None:
            continue
        examples += 1
        total, answer = tokens.of_example(example, tokenizer)
        totals.append(total)
        answers.append(answer)
        for found in _against_the_rest(example, total, token_limit, seen):
            notes.add(found, record.line)
        if len(samples) < 3 and notes.errors == before:
            samples.append(example)
    if 0 < examples < FEW_EXAMPLES:
        few = "1 example" if examples == 1 else f"{examples} examples"
        words = f"Only {few}: hosted providers want at least {FEW_EXAMPLES}, and 50 to 100 teach more."
        notes.add(Found("too_few_examples", words, severity=Severity.WARNING), None)
    epochs = tokens.default_epochs(examples)
    return DatasetReport(
        path=name or str(path),
        sha256=_digest(path),
        format=dataset_format.id,
        method=dataset_format.method,
        examples=examples,
        findings=tuple(notes.findings),
        counts=dict(notes.counts),
        tokenizer=tokenizer,
        tokens=Spread.of(totals),
        assistant_tokens=Spread.of(answers),
        epochs=epochs,
        billed_tokens=sum(min(token_limit, total) for total in totals),
        errors=notes.errors,
        samples=tuple(samples),
    )


def _judge(record: Record, example: Example | None, to_messages: Any) -> Iterator[Found]:
    if record.problem:
        yield Found("invalid_json", record.problem, fix="drop")
    elif not isinstance(record.value, dict):
        yield Found("data_type", "The line is not a JSON object.", fix="drop")
    elif example is None:
        yield Found("missing_messages_list", "There is no list of messages.", fix="drop")
    else:
        whole = {**record.value, "messages": record.value.get("messages", None) or to_messages(record.value)}
        for check in CHAT_CHECKS:
            yield from check(whole)


def _against_the_rest(example: Example, total: int, limit: int, seen: dict[bytes, int]) -> Iterator[Found]:
    if total > limit:
        words = f"{total:,} tokens, over the limit of {limit:,}: the rest is cut off."
        yield Found("over_token_limit", words, severity=Severity.WARNING)
    key = hashlib.blake2b(repr(example.messages).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    first = seen.setdefault(key, example.line)
    if first != example.line:
        yield Found("exact_duplicate", f"The same as line {first}.", fix="dedupe", severity=Severity.WARNING)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
