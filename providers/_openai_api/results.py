"""The figures of training: as an event says them, and as the CSV that a finished job leaves has them."""

import base64
import binascii
import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from providers._openai_api import answers
from providers._openai_api.answers import Json
from providers.base import MetricPoint

MOST_POINTS = 50_000
"""What of a file is read at most."""


def point(step: int, figures: Json) -> MetricPoint | None:
    """The vendor's figures at a step; None if there are none that we know."""
    validation = answers.number(figures, "full_valid_loss")
    found = MetricPoint(
        step=step,
        loss=answers.number(figures, "train_loss"),
        validation_loss=answers.number(figures, "valid_loss") if validation is None else validation,
        learning_rate=answers.number(figures, "learning_rate"),
    )
    return found if found != MetricPoint(step) else None


def read(content: bytes) -> list[MetricPoint]:
    """The points of a result file, plain or base64; what is no row of figures is left out."""
    text = _decoded(content).replace("\x00", "")
    found: list[MetricPoint] = []
    rows = csv.DictReader(io.StringIO(text))
    try:
        for row in islice(rows, MOST_POINTS):
            step = answers.whole(row, "step")
            one = point(step, row) if step is not None else None
            if one is not None:
                found.append(one)
    except csv.Error:  # a field without an end: keep what came before
        return found
    return found


def merged(events: Mapping[int, MetricPoint], file: list[MetricPoint]) -> dict[int, MetricPoint]:
    """The points of both, by step; where both have a figure, the file's counts."""
    found = dict(events)
    for one in file:
        before = found.get(one.step, one)
        found[one.step] = replace(
            before,
            loss=before.loss if one.loss is None else one.loss,
            validation_loss=before.validation_loss if one.validation_loss is None else one.validation_loss,
            learning_rate=before.learning_rate if one.learning_rate is None else one.learning_rate,
        )
    return found


def _decoded(content: bytes) -> str:
    plain = content.decode("utf-8-sig", "replace")
    if "step" in plain.partition("\n")[0]:
        return plain
    try:
        return base64.b64decode(content, validate=False).decode("utf-8-sig", "replace")
    except (binascii.Error, ValueError):
        return ""
