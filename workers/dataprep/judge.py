"""The exact way: one line after the other, every check. What the quick way cannot prove comes here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workers.dataprep import json_values
from workers.dataprep.checks import EXAMPLE_CHECKS, ExampleCheck, Found, Severity, answers, mojibake
from workers.dataprep.example import Example
from workers.dataprep.formats import Detected


@dataclass(frozen=True)
class Judged:
    """One line: its example (None where it is none) and all that was found in it. A blank line is None, and nothing."""

    example: Example | None
    founds: tuple[Found, ...] = ()

    @property
    def has_error(self) -> bool:
        """Whether it cannot be trained on as it is."""
        return any(one.severity is Severity.ERROR for one in self.founds)


BLANK = Judged(None)
_WHERE_NOTHING_IS_GARBLED = tuple(check for check in EXAMPLE_CHECKS if check is not answers.garbled_text)


def line(raw: bytes | None, detected: Detected, number: int, *, cut: bool = False, most: int = 0) -> Judged:
    """Judge one line; None is one that was too long to be read (over `most` bytes). `cut`: it has no line end."""
    if raw is None:
        words = f"The line is longer than {most / 1e6:,.0f} MB, which is no training example. Leave it out."
        return Judged(None, (Found(check="line_too_long", words=words, fix="drop"),))
    if not raw.strip():
        return BLANK
    parsed = json_values.strict(raw, cut=cut)
    founds = list(parsed.founds)
    if any(one.severity is Severity.ERROR for one in founds):
        return Judged(None, tuple(founds))
    founds += detected.format.problems(parsed.value)
    example = detected.format.to_example(parsed.value, number)
    if example is not None:
        checks = EXAMPLE_CHECKS if mojibake.may_have(raw) else _WHERE_NOTHING_IS_GARBLED
        founds += _of_example(example, checks, founds)
    return Judged(example, tuple(founds))


def _of_example(example: Example, checks: Sequence[ExampleCheck], known: list[Found]) -> Iterator[Found]:
    """What is wrong with the example itself; not again what its record was already found to have."""
    said = {(one.check, one.message) for one in known}
    for check in checks:
        for found in check(example):
            if (found.check, found.message) not in said:
                yield found
