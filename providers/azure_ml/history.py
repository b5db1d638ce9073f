"""What the services of the workspace's region know of a job: its metrics (MLflow's API), and why it failed.

Whatever cannot be had is left out: a job's own state counts.
"""

from collections.abc import Mapping

import structlog

from providers._openai_api import answers
from providers._openai_api.answers import Json
from providers.azure_ml.workspace import Clock, Workspace, part
from providers.base import MetricPoint
from providers.errors import ProviderError

log = structlog.get_logger()

METRICS: Mapping[str, str] = {
    "loss": "loss",
    "train_loss": "loss",
    "train/loss": "loss",
    "training_loss": "loss",
    "eval_loss": "validation_loss",
    "eval/loss": "validation_loss",
    "valid_loss": "validation_loss",
    "val_loss": "validation_loss",
    "validation_loss": "validation_loss",
    "learning_rate": "learning_rate",
    "train/learning_rate": "learning_rate",
    "epoch": "epoch",
    "train/epoch": "epoch",
}
"""What trainers call a figure -> which one of a MetricPoint's it is."""
MOST_POINTS = 2000


class History:
    """Reads what a job has left. Safe in threads."""

    def __init__(self, workspace: Workspace) -> None:
        """`workspace` knows where its region's services are."""
        self._workspace = workspace

    def points(self, job_id: str, after: int, clock: Clock) -> list[MetricPoint]:
        """The figures at the steps after `after`, in their order; none if they cannot be had in time."""
        found: dict[int, dict[str, float]] = {}
        try:
            path = f"{self._workspace.facts(clock).metrics_path}/api/2.0/mlflow"
            run = answers.inside(self._workspace.at_region(f"{path}/runs/get", clock, run_id=job_id), "run")
            for name in _new(answers.items(answers.inside(run, "data"), "metrics"), after):
                page = self._workspace.at_region(
                    f"{path}/metrics/get-history", clock, run_id=job_id, metric_key=name, max_results=str(MOST_POINTS)
                )
                for one in answers.items(page, "metrics"):
                    step, value = answers.whole(one, "step"), answers.number(one, "value")
                    if step is not None and step > after and value is not None:
                        found.setdefault(step, {})[METRICS[name]] = value
        except ProviderError as error:
            log.warning("metrics_not_read", job_id=job_id, error=type(error).__name__, detail=error.detail)
            return []  # a part of them would move the cursor past the rest
        return [_point(step, found[step]) for step in sorted(found)[-MOST_POINTS:]]

    def reason(self, job_id: str, clock: Clock) -> str:
        """Why the job failed, in Azure's words; "" if that cannot be had."""
        try:
            path = f"/history/v1.0{self._workspace.arm_id}/runs/{part(job_id)}/details"
            details = self._workspace.at_region(path, clock)
        except ProviderError as error:
            log.warning("reason_not_read", job_id=job_id, error=type(error).__name__, detail=error.detail)
            return ""
        inside = answers.inside(answers.inside(details, "error"), "error")
        clean = self._workspace.vendor.clean
        return clean(inside.get("message"), 1000) or clean(inside.get("code"))


def _point(step: int, figures: Mapping[str, float]) -> MetricPoint:
    return MetricPoint(
        step=step,
        epoch=figures.get("epoch"),
        loss=figures.get("loss"),
        validation_loss=figures.get("validation_loss"),
        learning_rate=figures.get("learning_rate"),
    )


def _new(latest: list[Json], after: int) -> list[str]:
    """The metrics of interest that have gone on, one name for each figure."""
    names: dict[str, str] = {}
    for one in latest:
        name, step = answers.text(one, "key"), answers.whole(one, "step")
        if name in METRICS and step is not None and step > after:
            names.setdefault(METRICS[name], name)
    return list(names.values())
