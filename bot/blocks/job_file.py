"""An attached job file: what it asks for, what of it was not taken over, and the button that begins with it."""

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, button, context, fields, section
from workers.runs.job_file import JobFilePlan
from workers.tables import JobFile

MOST_LINES = 12
LEFT_OUT = "… and {count} more"


def draw(row: JobFile) -> Drawn:
    """The card under the message that the file was attached to."""
    plan = JobFilePlan.from_json(row.plan)
    name = escape.mrkdwn(row.name, 80)
    if plan.problems:
        text = f"⚠️ *{name}* cannot be used as it is. Mend it and attach it again:"
        return Drawn(text=text, blocks=[section(text), section(_lines(plan.problems))])
    text = f"📋 *{name}* is a job file: {escape.mrkdwn(plan.name or 'a run', 60)}"
    knobs = ", ".join(f"{name} {value}" for name, value in plan.knobs.items()) or "as the provider does by itself"
    blocks: list[Block] = [
        section(text),
        fields(
            f"*Learn from*\n{escape.mrkdwn(plan.dataset.name or 'the dataset of this message', 80)}",
            f"*Where*\n{escape.mrkdwn(plan.provider, 40)}",
            f"*Base model*\n{escape.mrkdwn(plan.base_model or 'the usual one', 80)}",
            f"*Method*\n{escape.mrkdwn(plan.method.upper(), 20)}",
            f"*Settings*\n{escape.mrkdwn(knobs, 300)}",
        ),
    ]
    if plan.notes:
        blocks.append(context(_lines(plan.notes)))
    blocks.append(actions(button("Start from this file", "start_from_job_file", str(row.id), style="primary")))
    blocks.append(context("Nothing starts before you have seen the plan and its cost."))
    return Drawn(text=text, blocks=blocks)


def _lines(said: tuple[str, ...]) -> str:
    lines = [f"• {escape.mrkdwn(one, 200)}" for one in said[:MOST_LINES]]
    if len(said) > MOST_LINES:
        lines.append(LEFT_OUT.format(count=len(said) - MOST_LINES))
    return "\n".join(lines)
