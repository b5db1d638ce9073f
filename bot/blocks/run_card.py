"""A run's card: one message, edited in place from the queue to the end."""

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, bar, button, confirm, context, section
from workers.run_status import FINAL, RunStatus
from workers.runs import division
from workers.runs.choices import Choices
from workers.runs.cost import duration
from workers.tables import Run

STATES = {
    RunStatus.DRAFT: ("📝", "Being filled in"),
    RunStatus.AWAITING_APPROVAL: ("✋", "Waiting for approval"),
    RunStatus.QUEUED: ("⏳", "In the queue"),
    RunStatus.PREPARING: ("⏳", "Preparing the data"),
    RunStatus.SUBMITTING: ("⏳", "Starting the training"),
    RunStatus.SUBMIT_UNKNOWN: ("❓", "Asking the provider whether it has started"),
    RunStatus.TRAINING: ("🏋️", "Training"),
    RunStatus.PAUSED: ("⏸️", "Paused"),
    RunStatus.DEPLOYING: ("📦", "Deploying"),
    RunStatus.EVALUATING: ("🧪", "Evaluating"),
    RunStatus.READY: ("✅", "Ready"),
    RunStatus.FAILED: ("❌", "Failed"),
    RunStatus.CANCELLING: ("🛑", "Cancelling"),
    RunStatus.CANCELLED: ("🛑", "Cancelled"),
}


def draw(run: Run, *, ahead: int = 0) -> Drawn:
    """The card; `ahead` runs are before it in the queue."""
    mark, state = STATES[run.status]
    if run.status is RunStatus.QUEUED and ahead:
        state = f"In the queue, {ahead} before it"
    name = escape.mrkdwn(run.name, 60)
    title = f"{mark} *{name}* · {state}"
    blocks: list[Block] = [section(title)]
    figures = _figures(run)
    if figures:
        blocks.append(section("\n".join(figures)))
    if run.status is RunStatus.READY:
        lines = [escape.mrkdwn(str(run.progress.get("verdict") or ""), 600)]
        if division.part_of(run) is None:  # a short run of a cross-check has no model that is kept
            lines.append("💬 Reply in this thread to chat with it.")
        said = "\n".join(filter(None, lines))
        blocks += [section(said)] if said else []
    if run.status_reason:
        blocks.append(section(escape.mrkdwn(run.status_reason, 600)))
    blocks.append(context(_footer(run)))
    if run.status not in FINAL and run.status is not RunStatus.CANCELLING:
        question = confirm(
            "Cancel this run?", "Training ends within seconds. Its data and figures stay.", "Cancel the run", "Go on"
        )
        blocks.append(actions(button("Cancel", "run_cancel", str(run.id), style="danger", confirm=question)))
    return Drawn(text=f"{mark} {escape.mrkdwn(run.name, 60)}: {state}", blocks=blocks)


def _figures(run: Run) -> list[str]:
    """The bar with step and epoch, then the loss and the speed; nothing before there is a first step."""
    progress = run.progress
    step, total = int(progress.get("step") or 0), int(progress.get("total_steps") or 0)
    stage = str(progress.get("stage") or "")
    lines = []
    if total:
        epochs = float(progress.get("total_epochs") or Choices.from_json(run.plan).number("epochs") or 0)
        epoch = f" · epoch {float(progress['epoch']):.1f} of {epochs:g}" if progress.get("epoch") is not None else ""
        lines.append(f"`{bar(step / total)}` step {step:,} of {total:,}{epoch}")
    numbers = []
    if progress.get("loss") is not None:
        first = f" (from {float(progress['first_loss']):.2f})" if progress.get("first_loss") is not None else ""
        numbers.append(f"loss {float(progress['loss']):.3f}{first}")
    if progress.get("tokens_per_second"):
        numbers.append(f"{float(progress['tokens_per_second']):,.0f} tokens/s")
    if run.status is RunStatus.TRAINING and progress.get("eta_seconds"):
        numbers.append(f"about {duration(float(progress['eta_seconds']))} left")
    if numbers:
        lines.append(" · ".join(numbers))
    if stage and run.status in {RunStatus.TRAINING, RunStatus.EVALUATING, RunStatus.SUBMITTING}:
        lines.append(f"_{escape.mrkdwn(stage, 200)}_")
    return lines


def _footer(run: Run) -> str:
    who = f"<@{run.creator_id}>" if run.creator_id else "somebody"
    parts = [f"Run {run.id} by {who}", escape.mrkdwn(run.base_model.split("/")[-1], 60)]
    if run.started_at and run.trained_at:
        parts.append(f"trained in {duration(run.trained_at - run.started_at)}")
    price = str(run.cost.get("price") or "")
    if price:
        parts.append(escape.mrkdwn(price, 80))
    if run.error_id:
        parts.append(f"error id {run.error_id}")
    return " · ".join(parts)
