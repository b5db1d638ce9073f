"""A dataset's report: what it is, every finding with its place, exact counts, token statistics."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workers.dataprep import parallel, tokens
from workers.dataprep.analysis import Analysis, Progress, rules_of
from workers.dataprep.checks import Found, Severity
from workers.dataprep.example import Example
from workers.dataprep.formats import ColumnMapping, detect
from workers.dataprep.notes import Finding
from workers.dataprep.scan import Part, Rules
from workers.dataprep.source import Limits, Source, opened
from workers.dataprep.spread import Spread

__all__ = ["DatasetReport", "Finding", "Progress", "check_file"]

DEFAULT_CONTEXT = 16_385
"""Tokens that a model reads, where no model is chosen yet."""
FEW_EXAMPLES = 10


@dataclass(frozen=True)
class DatasetReport:
    """Everything known about a dataset's file. Counts are exact, lists are capped."""

    path: str
    sha256: str
    format: str
    method: str
    examples: int
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    fixable: Mapping[str, int]
    """How many of each check's findings a machine can mend."""
    tokenizer: str
    context: int
    tokens: Spread
    assistant_tokens: Spread
    messages: Spread
    histogram: Mapping[str, Any]
    """Tokens of the examples as bars: `edges` (one more than bars) and `counts`."""
    epochs: int
    billed_tokens: int
    """Of one epoch: no example counts for more than the model reads."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """How often each label is the answer, where answers are labels."""
    unit: str = "line"
    """What a finding's `line` counts: lines, elements of an array or rows of a table."""
    layout: str = "jsonl"
    encoding: str = "utf-8"
    compression: str = ""
    columns: tuple[str, ...] = ()
    mapping: Mapping[str, Any] | None = None
    guessed: bool = False
    """Whether a person should confirm the columns before anything is trained."""
    errors: int = 0
    samples: tuple[Example, ...] = field(default=(), compare=False)

    @property
    def trainable(self) -> bool:
        """Whether it has examples, no errors and, for a table, columns that a person has confirmed."""
        return self.examples > 0 and self.errors == 0 and not self.guessed

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "format": self.format,
            "method": self.method,
            "examples": self.examples,
            "trainable": self.trainable,
            "unit": self.unit,
            "layout": self.layout,
            "encoding": self.encoding,
            "compression": self.compression,
            "columns": list(self.columns),
            "mapping": dict(self.mapping) if self.mapping else None,
            "guessed": self.guessed,
            "findings": [{**asdict(one), "severity": str(one.severity)} for one in self.findings],
            "counts": dict(self.counts),
            "fixes": {check: number for check, number in self.fixable.items() if number},
            "tokens": {
                "tokenizer": self.tokenizer,
                "context": self.context,
                **self.tokens.to_json(),
                "assistant": self.assistant_tokens.to_json(),
            },
            "messages": self.messages.to_json(),
            "histogram": dict(self.histogram),
            "labels": dict(self.labels),
            "epochs": self.epochs,
            "billed_tokens": self.billed_tokens,
        }


def check_file(
    path: Path,
    *,
    name: str | None = None,
    tokenizer: str = tokens.DEFAULT,
    context: int = DEFAULT_CONTEXT,
    mapping: ColumnMapping | None = None,
    limits: Limits | None = None,
    processes: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    deep: bool = True,
) -> DatasetReport:
    """Check a file with all cores. `deep`: near-duplicates, secrets, personal data and languages too.

    Raises workers.dataprep.source.UnreadableDataset if it is no dataset at all.
    """
    limits = limits or Limits()
    digest = _Digest(path)
    with opened(path, limits) as source:
        detected = detect(source, mapping)
        rules = rules_of(source, detected, limits, tokenizer=tokenizer, context=context, deep=deep)
        with Analysis(source, rules) as analysis:
            analysis.scan(processes or parallel.cores(), progress or (lambda _: None))
            analysis.compare()
        return _report(source, rules, analysis.sum, name or str(path), digest.hex())


def _report(source: Source, rules: Rules, whole: Part, name: str, sha256: str) -> DatasetReport:
    detected = rules.detected
    if 0 < whole.examples < FEW_EXAMPLES:
        whole.notes.add(_few(whole.examples), None)
    return DatasetReport(
        path=name,
        sha256=sha256,
        format=detected.format.id,
        method=detected.format.method,
        examples=whole.examples,
        findings=tuple(whole.notes.numbered(source.first)),
        counts=dict(whole.notes.counts),
        fixable=dict(whole.notes.fixable),
        tokenizer=rules.tokenizer,
        context=rules.context,
        tokens=whole.totals.spread(),
        assistant_tokens=whole.answers.spread(),
        messages=whole.messages.spread(),
        histogram=whole.totals.bars(),
        epochs=tokens.default_epochs(whole.examples),
        billed_tokens=whole.totals.capped(rules.context),
        labels=whole.tallies.labels(),
        unit=source.unit,
        layout=source.layout,
        encoding=source.encoding,
        compression=source.compression,
        columns=source.columns,
        mapping=detected.columns.to_json() if detected.columns else None,
        guessed=detected.guessed,
        errors=whole.notes.errors,
        samples=tuple(whole.samples),
    )


class _Digest:
    """The file's SHA-256, computed beside the check."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hex = ""
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._compute, daemon=True)
        self._thread.start()

    def _compute(self) -> None:
        try:
            if self._path.is_file():
                with self._path.open("rb") as file:
                    self._hex = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            self._error = error

    def hex(self) -> str:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._hex


def _few(examples: int) -> Found:
    count = "1 example" if examples == 1 else f"{examples} examples"
    words = f"Only {count}: hosted providers want at least {FEW_EXAMPLES}, and 50 to 100 teach more. Add examples."
    return Found(check="too_few_examples", words=words, severity=Severity.WARNING)
