"""Plain messages: help, notes, problems, a list of runs."""

from collections.abc import Sequence

from bot import escape
from bot.blocks.elements import Drawn, context, header, section
from bot.blocks.run_card import STATES
from workers.tables import Run

COMMANDS = (
    ("start", "open the form, filled in with your newest dataset"),
    ("data", "the datasets that can be used here; `data show`, `diff`, `delete`, `add hf:owner/name@revision`"),
    ("status", "the runs of this channel"),
    ("show NUMBER", "the card of a run, shown to you alone"),
    ("cancel NUMBER", "end a run"),
    ("pause NUMBER", "let a run rest; `resume NUMBER` lets it go on (where its provider can)"),
    ("keys", "vendor credentials: OpenAI, Azure OpenAI, Azure Machine Learning (for admins)"),
    ("help", "this"),
)


def help_text() -> Drawn:
    """How to begin."""
    lines = "\n".join(f"• `/finetune {name}` – {words}" for name, words in COMMANDS)
    begin = (
        "*Fine-tune a model in four steps*\n"
        "1. Attach a file with examples to a message: JSONL, JSON, CSV, Excel, Parquet (a second is for testing).\n"
        "2. Read the report in its thread, then click *Start fine-tuning*.\n"
        "3. Watch one card until training ends, and read whether it was worth it.\n"
        "4. Reply in that thread to chat with the tuned model."
    )
    return Drawn(text="How to fine-tune a model here", blocks=[section(begin), section(lines)])


def note(text: str) -> Drawn:
    """A milestone."""
    return Drawn(text=escape.mrkdwn(text) or "–", blocks=[context(escape.mrkdwn(text, 1900))])


def problem(title: str, text: str, error_id: str = "") -> Drawn:
    """What went wrong, why in plain words, what to do next, and an id for the admin."""
    words = escape.mrkdwn(text, 2000)
    blocks = [header(f"❌ {escape.plain(title, 140)}"), section(words)]
    if error_id:
        blocks.append(context(f"error id `{escape.code(error_id, 40)}` – an admin finds it in the logs"))
    tail = f" (error id {error_id})" if error_id else ""
    return Drawn(text=f"❌ {escape.plain(title, 140)}: {words}{tail}", blocks=blocks)


def runs(found: Sequence[Run]) -> Drawn:
    """A list of runs, the newest first."""
    if not found:
        return Drawn(text="No runs here yet. Attach a dataset to a message, then `/finetune start`.")
    lines = []
    for run in found:
        mark, state = STATES[run.status]
        step, total = run.progress.get("step"), run.progress.get("total_steps")
        at = f", step {step} of {total}" if step and total and not run.status.is_final else ""
        lines.append(f"{mark} *{escape.mrkdwn(run.name, 60)}* (run {run.id}) · {state}{at} · <@{run.creator_id}>")
    return Drawn(text="Runs of this channel", blocks=[section("\n".join(lines))])
