"""An attached job file: what it asks for, what of it was not taken over, and the button that begins with it."""

import json
from collections.abc import Mapping

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, button, context, fields, section
from providers import prices
from providers.capabilities import CAPABILITIES
from workers.plans import offered
from workers.plans.choices import TestOn
from workers.plans.job_fields import Named
from workers.plans.job_file import HELD_OUT, NOTHING, JobFilePlan
from workers.tables import JobFile

BEGIN_WITH = "start_from_job_file_"
"""The action of a button that has another provider carry the file out; the provider's name follows."""
MOST_LINES = 12
TESTED: Mapping[str, str] = {
    TestOn.HELD_OUT: "a part of the training data",
    TestOn.CROSS_CHECK: "cross-checking",
    TestOn.NOTHING: "nothing",
}
WATCHED = {HELD_OUT: "a part of the training data", NOTHING: "nothing"}
LEFT_OUT = "… and {count} more"


def draw(row: JobFile) -> Drawn:
    """The card under the message that the file was attached to."""
    plan = JobFilePlan.from_json(row.plan)
    name = escape.mrkdwn(row.name, 80)
    if plan.problems:
        text = f"⚠️ *{name}* cannot be used as it is. Mend it and attach it again:"
        return Drawn(text=text, blocks=[section(text), section(_lines(plan.problems))])
    text = f"📋 *{name}* is a job file: {escape.mrkdwn(plan.name or 'a run', 60)}"
    blocks: list[Block] = [section(text), fields(*(f"*{name}*\n{words}" for name, words in _fields(plan)))]
    if plan.notes:
        blocks.append(context(_lines(plan.notes)))
    begin = [button("Start from this file", "start_from_job_file", str(row.id), style="primary")]
    begin += [button(f"Start with {_plainly(name)}", f"{BEGIN_WITH}{name}", str(row.id)) for name in plan.elsewhere]
    blocks.append(actions(*begin))
    blocks.append(context("Nothing starts before you have seen the plan and its cost."))
    return Drawn(text=text, blocks=blocks)


def _plainly(provider: str) -> str:
    """What a provider is called on a button."""
    return prices.vendor(provider).text.removesuffix(" on this machine")


def _fields(plan: JobFilePlan) -> list[tuple[str, str]]:
    """What the file asks for, each with its name in the form; what it leaves open says what is taken."""
    vendor = escape.mrkdwn(prices.vendor(plan.provider).text, 40)
    model = escape.mrkdwn(offered.model_text(plan.base_model), 80) if plan.base_model else "the usual one"
    texts = {one.name: one.text for one in CAPABILITIES[plan.provider].knobs}
    settings = [f"{texts.get(name, name)}: {value}" for name, value in plan.knobs.items()]
    said = [
        ("Learn from", _dataset(plan.dataset, "the dataset of this message")),
        ("Where", vendor),
        ("Base model", model),
        ("Method", escape.mrkdwn(plan.method.upper(), 20) or "the dataset's"),
        ("Test the result on", _dataset(plan.test, TESTED.get(plan.test_on, "the test file of this message, if any"))),
        (
            "Watch while training",
            _dataset(plan.validation, WATCHED.get(plan.watch, "nothing, unless a file for it came with this one")),
        ),
        ("Settings", escape.mrkdwn("\n".join(settings), 400) or "as the provider does by itself"),
    ]
    if plan.options:
        options = [f"{name.replace('_', ' ').capitalize()}: {_option(value)}" for name, value in plan.options.items()]
        said.append((f"Only at {vendor}", escape.mrkdwn("\n".join(options), 600)))
    return said


def _dataset(named: Named | None, otherwise: str) -> str:
    if named is None or not (named.name or named.sha256):
        return otherwise
    version = f" v{named.version}" if named.version else ""
    return escape.mrkdwn(f"{named.name or f'the one with the hash {named.sha256[:12]}'}{version}", 100)


def _option(value: object) -> str:
    """An option's value, short: a text, a list of texts, or what kind of thing it is."""
    if isinstance(value, str):
        return escape.cut(value, 80)
    if isinstance(value, Mapping) and value.get("type"):
        return escape.cut(str(value["type"]), 80)
    listed = value if isinstance(value, list) and all(isinstance(one, str) for one in value) else None
    return escape.cut(", ".join(listed) if listed is not None else json.dumps(value, ensure_ascii=False), 120)


def _lines(said: tuple[str, ...]) -> str:
    lines = [f"• {escape.mrkdwn(one, 200)}" for one in said[:MOST_LINES]]
    if len(said) > MOST_LINES:
        lines.append(LEFT_OUT.format(count=len(said) - MOST_LINES))
    return "\n".join(lines)
