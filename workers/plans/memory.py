"""Whether a training fits into the memory of the machine that would carry it out, before it starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session

from providers.local import memory, tokenizer_file
from providers.local.hardware import Hardware
from providers.local.memory import Shape
from workers import training_hosts
from workers.plans.choices import Choices
from workers.settings import Settings
from workers.tables import Dataset

_PACKAGED = {"smollm2-135m-instruct": Shape(30, 576, 1536, 49152, 192, context=8192)}
"""Of base models that are not unpacked before they are first used."""
_USUAL_LENGTH = 512
"""Tokens of an example where nobody has counted."""
_MOST_ROWS = 64


@dataclass(frozen=True)
class Fit:
    """What a plan takes, and what there is; `problem` says what to do where that is too little."""

    words: str
    problem: str = ""


def fit(session: Session, settings: Settings, choices: Choices, dataset: Dataset) -> Fit | None:
    """Of a plan for this machine's own trainer; None where nothing can be said."""
    host = training_hosts.best(session)
    model = shape(settings, choices.base_model)
    if choices.provider != "local" or host is None or model is None:
        return None
    tokens, learnt = _lengths(choices, dataset.report, model)
    asked: dict[str, Any] = {"tokens": tokens, "learnt": learnt, "bits": _bits(choices, host), "gpu": bool(host.gpus)}
    knobs = choices.hyperparameters
    rows = memory.most_rows(model, knobs, available=host.room, most=_MOST_ROWS, **asked)
    chosen = choices.number("batch_size")
    taken = memory.need(model, knobs, rows=round(chosen or max(1, rows)), **asked).total
    words = f"about {_size(taken)} of {_size(host.room)} ({host.words})"
    if taken <= host.room:
        return Fit(words if chosen else f"{words}, {rows} examples a step")
    return Fit(words, _problem(host, rows, tokens))


def _problem(host: Hardware, rows: int, tokens: int) -> str:
    said = f"The memory that this takes is more than the {_size(host.room)} that there are ({host.words}). "
    if rows:
        return f"{said}{rows} examples a step would fit; else the trainer takes fewer by itself and goes on, slower."
    return (
        f"{said}Not even one example of {tokens:,} tokens a step fits: choose a smaller base model, gradient "
        "checkpointing, 4 bits where there is a GPU, or a shorter maximum length under Advanced settings."
    )


def shape(settings: Settings, base_model: str) -> Shape | None:
    """Of a base model of this machine; None where it is of another kind, or not here."""
    folder = Path(base_model)
    if not folder.is_absolute():
        folder = tokenizer_file.unpacked(base_model, settings.cache_folder)
    return memory.shape_of(folder) or _PACKAGED.get(base_model)


def _lengths(choices: Choices, report: dict[str, Any], model: Shape) -> tuple[int, float]:
    """Tokens of the longest example as it is learnt from, and the share of all tokens that are learnt."""
    counted = report.get("tokens") or {}
    most = int(choices.number("max_length") or model.context)
    longest = min(int(counted.get("max") or _USUAL_LENGTH), most, model.context)
    total, written = int(counted.get("total") or 0), int((counted.get("assistant") or {}).get("total") or 0)
    is_all = choices.knob("learn") == "everything" or not total or not written
    return max(1, longest), 1.0 if is_all else min(1.0, written / total)


def _bits(choices: Choices, host: Hardware) -> int:
    chosen = str(choices.knob("precision") or "auto")
    return host.bits if chosen == "auto" else 32 if chosen == "fp32" else 16


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count < 10e9 else f"{count / 1e9:.0f} GB"
