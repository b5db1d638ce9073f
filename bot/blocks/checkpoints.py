"""The checkpoints of a run, for whoever asks: how good each was while training, and a button to talk to it."""

from collections.abc import Sequence

from bot import escape
from bot.blocks.elements import Drawn, button, context, fitting, section
from workers.runs import checkpoints
from workers.tables import Run, RunCheckpoint


def draw(run: Run, rows: Sequence[RunCheckpoint]) -> Drawn:
    """The list, oldest first; the last is usually the tuned model itself."""
    name = escape.mrkdwn(run.name, 60)
    if not rows:
        return Drawn(text=f"{name} has no checkpoints that could be asked.")
    can_chat = checkpoints.answer_by_themselves(run)
    blocks = [section(f"*Checkpoints of {name}*: the model as it was on its way.")]
    for row in rows:
        chat = button("Chat with it", "checkpoint_chat", f"{run.id}:{row.step}") if can_chat else None
        blocks.append(section(f"*step {row.step:,}* · {_figures(row)}", accessory=chat))
    blocks.append(
        context("A checkpoint was not compared with the base model: look at the losses, and try it yourself.")
        if can_chat
        else context("They cannot be asked as they are: here a model answers only while it is hosted.")
    )
    return Drawn(text=f"Checkpoints of {name}", blocks=fitting(blocks, "and some more"))


def _figures(row: RunCheckpoint) -> str:
    told = (
        ("loss", row.loss, "{:.3f}"),
        ("validation loss", row.validation_loss, "{:.3f}"),
        ("tokens right", row.accuracy, "{:.0%}"),
        ("in validation", row.validation_accuracy, "{:.0%}"),
    )
    return " · ".join(f"{name} {form.format(value)}" for name, value, form in told if value is not None) or "no figures"
