"""A run's card: one message, edited in place from the queue to the end."""

import time
from collections.abc import Mapping
from typing import Any

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, bar, button, confirm, context, option, overflow, section
from providers.prices import short_name, vendor
from workers.plans.choices import Choices
from workers.plans.cost import duration
from workers.run_status import FINAL, RunStatus
from workers.runs import actual, division, lifecycle
from workers.tables import Endpoint, EndpointStatus, Run

OVERFIT = 2.0
"""Times the training loss from which on a validation loss tells of learning by heart."""
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


def draw(run: Run, *, ahead: int = 0, endpoint: Endpoint | None = None) -> Drawn:
    """The card; `ahead` runs are before it in the queue, `endpoint` answers with its model once it is ready."""
    mark, state = STATES[run.status]
    if run.status is RunStatus.QUEUED and ahead:
        state = f"In the queue, {ahead} before it"
    if run.status is RunStatus.TRAINING and run.pause_requested:
        state = "Pausing"
    if run.status is RunStatus.PAUSED and not run.pause_requested:
        state = "Going on after a pause"
    name = escape.mrkdwn(run.name, 60)
    title = f"{mark} *{name}* · {state}"
    blocks: list[Block] = [section(title)]
    figures = _figures(run)
    if figures:
        blocks.append(section("\n".join(figures)))
    troubles = _troubles(run)
    if troubles:
        blocks.append(section("\n".join(troubles)))
    if run.status is RunStatus.READY:
        verdict = escape.mrkdwn(str(run.progress.get("verdict") or ""), 600)
        said = "\n".join(filter(None, (verdict, _chat(run, endpoint))))
        blocks += [section(said)] if said else []
    if run.status_reason:
        blocks.append(section(escape.mrkdwn(run.status_reason, 600)))
    blocks.append(context(_footer(run)))
    buttons = _buttons(run)
    if buttons:
        blocks.append(actions(*buttons))
    return Drawn(text=f"{mark} {escape.mrkdwn(run.name, 60)}: {state}", blocks=blocks)


def _chat(run: Run, endpoint: Endpoint | None) -> str:
    """How to chat with the model of a run that is ready, or why nobody can."""
    if run.progress.get("model_deleted"):
        return "🗑️ Its tuned model is deleted."
    if division.part_of(run) is not None or run.progress.get("deleting_model"):  # a short run keeps no model
        return ""
    status = endpoint.status if endpoint is not None else EndpointStatus.ACTIVE
    match status:
        case EndpointStatus.ACTIVE:
            return "💬 Reply in this thread to chat with it."
        case EndpointStatus.ASLEEP:
            return "😴 It is asleep: deploy it again from its message in this thread to chat with it."
        case EndpointStatus.DELETED:
            return "🗑️ Nobody answers in this thread any more."


def _cancelling(run: Run) -> str:
    """What becomes of a run that is cancelled now, and what it may have cost."""
    if run.provider in actual.FREE:
        if run.status is RunStatus.EVALUATING:
            return "The comparison ends, and the model is not kept for chat. Its data and figures stay."
        return "Training ends within seconds. Its data and figures stay."
    name = vendor(run.provider).text
    match run.status:
        case RunStatus.QUEUED | RunStatus.DRAFT | RunStatus.AWAITING_APPROVAL:
            return f"{name} has not been asked for anything yet, so nothing is billed. Its data and figures stay."
        case RunStatus.DEPLOYING | RunStatus.EVALUATING:
            short = division.part_of(run) is not None
            kept = "is deleted there too" if short else "stays there until you delete it from this card"
            return (
                f"{name} has trained it, which is billed. It is not compared, nobody can chat with it, and what is "
                f"deployed for it is deleted. The tuned model {kept}."
            )
        case _:
            return f"{name} is asked to stop; what it has trained so far may be billed. Its data and figures stay here."


def _buttons(run: Run) -> list[Block]:
    """What can be done about the run now."""
    made: list[Block] = []
    number = str(run.id)
    if run.status is RunStatus.TRAINING and not run.pause_requested and lifecycle.can_pause(run):
        made.append(button("Pause", "run_pause", number))
    if run.status is RunStatus.PAUSED or (run.status is RunStatus.TRAINING and run.pause_requested):
        made.append(button("Resume", "run_resume", number))
    if run.status not in FINAL and run.status is not RunStatus.CANCELLING:
        question = confirm("Cancel this run?", _cancelling(run), "Cancel the run", "Go on")
        made.append(button("Cancel", "run_cancel", number, style="danger", confirm=question))
    if run.status is RunStatus.READY and run.progress.get("checkpoints"):
        made.append(button("Checkpoints", "run_checkpoints", number))
    if run.status.is_final and division.part_of(run) is None:
        made.append(button("Job file", "run_job_file", number))
        if run.status is RunStatus.READY:
            made.append(button("Model card", "run_model_card", number))
    if run.status.is_final and run.tuned_model and not run.progress.get("deleting_model"):
        question = confirm(
            "Delete the tuned model?",
            f"{vendor(run.provider).text} deletes it and its checkpoints for ever, and nothing answers with it any "
            "more. Its data and figures stay here.",
            "Delete it",
            "Keep it",
        )
        choice = option("Delete the tuned model", f"delete_model:{number}")
        made.append(overflow("run_more", [choice], confirm=question))
    return made


def _figures(run: Run) -> list[str]:
    """The bar with step and epoch, then the losses and the speed, then what it is at; nothing before there is any."""
    lines = [line for line in (_how_far(run), _numbers(run)) if line]
    stage = _stage(run)
    return [*lines, f"_{escape.mrkdwn(stage, 200)}_"] if stage else lines


def _how_far(run: Run) -> str:
    """Step and epoch, with a bar where the end is known. Vendors say as much as they like."""
    progress = run.progress
    step, total = int(progress.get("step") or 0), int(progress.get("total_steps") or 0)
    epochs = float(progress.get("total_epochs") or Choices.from_json(run.plan).number("epochs") or 0)
    parts = []
    if total > 0:
        parts.append(f"`{bar(step / total)}` step {step:,} of {total:,}")
    elif step > 0:
        parts.append(f"step {step:,}")
    if progress.get("epoch") is not None and (parts or progress["epoch"] > 0):
        parts.append(f"epoch {float(progress['epoch']):.1f}" + (f" of {epochs:g}" if epochs else ""))
    if progress.get("trained_tokens"):
        parts.append(f"{int(progress['trained_tokens']):,} tokens trained")
    return " · ".join(parts)


def _numbers(run: Run) -> str:
    progress = run.progress
    parts = []
    if progress.get("loss") is not None:
        first = f" (from {float(progress['first_loss']):.2f})" if progress.get("first_loss") is not None else ""
        parts.append(f"loss {float(progress['loss']):.3f}{first}")
    if progress.get("validation_loss") is not None:
        parts.append(f"validation loss {float(progress['validation_loss']):.3f}{_apart(progress)}")
    if progress.get("tokens_per_second"):
        parts.append(f"{float(progress['tokens_per_second']):,.0f} tokens/s")
    if run.status is RunStatus.TRAINING and progress.get("learning_rate"):
        parts.append(f"learning rate {float(progress['learning_rate']):.1e}")
    if run.status is RunStatus.TRAINING and progress.get("memory_bytes"):
        parts.append(f"{float(progress['memory_bytes']) / 1e9:.1f} GB")
    if run.status is RunStatus.TRAINING and progress.get("eta_seconds"):
        parts.append(f"about {duration(float(progress['eta_seconds']))} left")
    return " · ".join(parts)


def _apart(progress: Mapping[str, Any]) -> str:
    """How many times the training loss it is, where the model begins to learn by heart."""
    loss = float(progress.get("loss") or 0.0)
    ratio = float(progress["validation_loss"]) / loss if loss > 0 else 0.0
    return f" ({ratio:.1f} × the training's: it may be learning by heart)" if ratio >= OVERFIT else ""


def _stage(run: Run) -> str:
    """What it is doing, in the provider's words."""
    if run.status not in {RunStatus.TRAINING, RunStatus.DEPLOYING, RunStatus.EVALUATING, RunStatus.SUBMITTING}:
        return ""
    progress = run.progress
    unknown = str(progress.get("unknown_status") or "")
    if unknown:
        return f"{vendor(run.provider).text} calls its state “{unknown}”, which is new to us. It is watched on."
    return str(progress.get("stage") or "")


def _troubles(run: Run) -> list[str]:
    """What keeps the vendor from answering us, since when, and what to do about it."""
    lines = []
    if run.progress.get("deleting_model"):
        lines.append("🗑️ The tuned model is being deleted.")
    trouble = run.progress.get("trouble")
    if not isinstance(trouble, dict) or run.status.is_final:
        return lines
    name = escape.mrkdwn(vendor(run.provider).text, 60)
    since = _clock(float(trouble.get("since") or 0.0))
    said = escape.mrkdwn(str(trouble.get("words") or ""), 400)
    begun = run.provider_job_id not in {"", "?"}
    goes_on = "Nothing is lost: " + ("the training goes on there, and" if begun else "")
    match trouble.get("kind"):
        case "refused":
            lines.append(
                f"🔑 *{name} refuses the credentials since {since}: an admin must renew them (`/finetune keys`).* "
                f"{goes_on} it is looked at again every five minutes for a day, and at once when new ones work. "
                f"{_vendors_own(name, said)}"
            )
        case "limited":
            until = _clock(float(trouble.get("until") or 0.0))
            lines.append(f"🐢 {name} asks us to slow down. It is asked again at {until}; nothing needs to be done.")
        case "missing":
            since = _clock(float((trouble.get("missing") or {}).get("since") or trouble.get("since") or 0.0))
            lines.append(
                f"🔎 *{name} says since {since} that it has no such training.* It is asked again for a quarter of an "
                "hour. If the credentials were changed for those of another account or project, an admin can change "
                "them back (`/finetune keys`): the training may still go on there."
            )
        case "broken":
            error_id = escape.code(str(trouble.get("error_id") or ""), 40)
            lines.append(
                f"⚠️ Since {since} there is a fault on our side in reading {name}'s answers (error id `{error_id}`: an "
                f"admin finds it in the logs). {goes_on} it is looked at again and again."
            )
        case kind:
            what = "does not answer" if kind == "away" else "does not take our questions"
            lines.append(f"📡 *{name} {what} since {since}.* {goes_on} it is asked again and again. {said}")
    if run.status is RunStatus.CANCELLING:
        lines.append(f"The wish to cancel is repeated until {name} has heard it; until then it may go on, and cost.")
    return lines


def _vendors_own(name: str, said: str) -> str:
    """Of an error's words those that the vendor itself has said, if it has; the rest is told already."""
    _, found, words = said.partition(f"{name} says: ")
    return f"{found}{words}" if found else said


def _clock(at: float) -> str:
    """A time of the day, with the date where it is not today."""
    moment, now = time.gmtime(at), time.gmtime()
    today = (moment.tm_year, moment.tm_yday) == (now.tm_year, now.tm_yday)
    return time.strftime("%H:%M UTC" if today else "%-d %b, %H:%M UTC", moment)


def _footer(run: Run) -> str:
    who = f"<@{run.creator_id}>" if run.creator_id else "somebody"
    parts = [f"Run {run.id} by {who}", escape.mrkdwn(short_name(run.base_model), 60)]
    if run.started_at and run.trained_at:
        parts.append(f"trained in {duration(run.trained_at - run.started_at)}")
    price = actual.words(run) or actual.planned(run)
    if price:
        parts.append(escape.mrkdwn(price, 200))
    if run.error_id:
        parts.append(f"error id {run.error_id}")
    return " · ".join(parts)
