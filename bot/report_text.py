"""A dataset's report as text for the console: what it is, is it good enough, what to mend first."""

from collections.abc import Iterator

from workers.dataprep.checks import Severity
from workers.dataprep.report import DatasetReport, Finding

MOST_LISTED = 5
"""So many places of a check are listed; the rest is counted."""
MARKS = {Severity.ERROR: "error  ", Severity.WARNING: "warning", Severity.INFO: "note   "}


def lines(report: DatasetReport, name: str) -> Iterator[str]:
    """The report, line by line."""
    tokens = report.tokens
    packed = f", {report.compression}" if report.compression else ""
    plural = "" if report.examples == 1 else "s"
    yield f"{name}: {report.examples:,} example{plural}, {report.format} ({report.method}), {report.layout}{packed}"
    span = (
        f"{tokens.min:,} to {tokens.max:,}, {tokens.median:,.0f} typically" if tokens.min < tokens.max else tokens.min
    )
    yield f"  {tokens.total:,} tokens ({report.tokenizer}); an example has {span}"
    billed = report.epochs * report.billed_tokens
    yield f"  {report.epochs} epochs × {report.billed_tokens:,} billed tokens = {billed:,}"
    if report.guessed and report.mapping:
        columns = ", ".join(f"{role}={column}" for role, column in report.mapping.items())
        yield f"  The columns are guessed: --mapping '{columns}'. Give these, or the right ones, to confirm them."
    yield from _findings(report)
    if report.trainable and report.format == "text" and report.layout == "text":
        yield "A text, not questions with answers: a model would learn to go on with such text, not to answer about it."
    elif report.trainable:
        yield "Ready to train."
    elif report.errors or not report.examples:
        yield "Not trainable yet: mend the errors above."
    else:
        yield "Not trainable yet: confirm its columns with --mapping."


def _findings(report: DatasetReport) -> Iterator[str]:
    """By check, the errors first."""
    by_check: dict[str, list[Finding]] = {}
    for one in sorted(report.findings, key=lambda one: list(MARKS).index(one.severity)):
        by_check.setdefault(one.check, []).append(one)
    for check, found in by_check.items():
        for one in found[:MOST_LISTED]:
            where = f"{report.unit} {one.line:,}: " if one.line is not None else ""
            yield f"  {MARKS[one.severity]} {where}{one.message} [{check}]"
            if one.excerpt:
                yield f"            {one.excerpt}"
        more = report.counts[check] - len(found[:MOST_LISTED])
        if more > 0:
            yield f"          and {more:,} more [{check}]"
