"""The loss curve of a run as a PNG."""

import io
from collections.abc import Sequence

from workers.tables import RunMetric

SMOOTHING = 0.85
FEW = 8
"""So few points are drawn as points: a vendor may tell the loss at some steps only."""


def png(name: str, metrics: Sequence[RunMetric]) -> bytes:
    """A picture of 1200 x 640 pixels; the thin line is each step, the thick one its running mean."""
    from matplotlib.figure import Figure

    points = [(one.step, one.loss) for one in metrics if one.loss is not None]
    validation = [(one.step, one.validation_loss) for one in metrics if one.validation_loss is not None]
    figure = Figure(figsize=(7.5, 4), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    if points:
        steps, losses = zip(*points, strict=True)
        few = "o" if len(points) < FEW else ""  # a line through one point is not to be seen
        axes.plot(steps, losses, color="#9cc3e6", linewidth=1, marker=few, label="training loss, each step told")
        axes.plot(steps, _smooth(losses), color="#1264a3", linewidth=2.2, label="running mean")
    if validation:
        steps, losses = zip(*validation, strict=True)
        axes.plot(steps, losses, color="#e01e5a", marker="o", linewidth=2, label="validation loss")
    axes.set_title(name.replace("$", r"\$"), loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if points or validation:
        axes.legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _smooth(values: Sequence[float]) -> list[float]:
    """An exponential running mean without the bias of its start."""
    mean, weight, smoothed = 0.0, 0.0, []
    for value in values:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        smoothed.append(mean / weight)
    return smoothed
