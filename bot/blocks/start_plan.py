"""The plan with its cost, before anything starts: what will be done, where the data goes, what each part costs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bot import escape
from bot.blocks.elements import Block, checkboxes, context, field_block, fields, modal, option, section
from bot.blocks.start_form import notices
from providers import prices
from providers.capabilities import ON_THIS_MACHINE
from providers.retirements import Notice
from workers.hosting.possible import NOT_HOSTED
from workers.plans.billing import Count, about
from workers.plans.choices import Choices, TestOn
from workers.plans.cost import Estimate, Offer, at_once
from workers.plans.offered import METHODS, Option
from workers.runs.leaks import Leaks
from workers.tables import Dataset

TUNINGS = {"lora": "LoRA", "dora": "DoRA", "rslora": "rsLoRA"}
SAID = frozenset({"epochs", "batch_size", "gradient_accumulation", "lora_r", "tuning"})
"""The settings that the plan names elsewhere."""
TRY_ANYWAY = "try_anyway"
MUST_AGREE = "Tick the box to ask the vendor all the same, or go back and choose another model or place."


def comparing(external_id: str) -> Block:
    """What is there while two files are compared; `external_id` names the window for when they are."""
    made = modal("start_loading", "Plan and cost", [section("⏳ Comparing the test with what is learnt from …")])
    return {**made, "external_id": external_id}


def confirmation(
    choices: Choices,
    estimate: Estimate,
    dataset: Dataset,
    test: Dataset | None,
    channel_id: str,
    *,
    draft: int = 0,
    leaks: Leaks | None = None,
    elsewhere: Sequence[Offer] = (),
    counted: Count | None = None,
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
    ending: Sequence[Notice] = (),
    tiers: Sequence[Option] = (),
    memory: str = "",
) -> Block:
    """Plan and cost. Carries to the last button where the choices are kept, and what was `counted`.

    `leaks` say what of the test was also in the training data, `elsewhere` what providers that are not set up ask,
    `warnings` what cannot be written for the provider, `notes` what became of another run's plan, `tiers` the price
    of training in each, `memory` what of a machine's it takes, `ending` what is over and what will be. Where the
    vendor has closed, an admin must tick that it be asked all the same.
    """
    said = [leaks.words] if leaks is not None and leaks.words else []
    if estimate.not_hosted:
        said.insert(0, NOT_HOSTED)
    blocks = [
        section(
            f"*{escape.mrkdwn(choices.name, 60)}*" + (f"\n{escape.mrkdwn(choices.goal, 300)}" if choices.goal else "")
        ),
        _what(choices, estimate, dataset, test, leaks.left_out if leaks is not None else 0, memory),
        *(section(f"⚠️ {escape.mrkdwn(one, 2000)}") for one in (*said, *warnings) if one),
        *([section("\n".join(f"• {escape.mrkdwn(one, 250)}" for one in notes[:10]))] if notes else []),
        *notices(ending),
        *_cost(choices, estimate),
        *([context(f"Training by tier: {_tiers(tiers)}")] if tiers else []),
    ]
    if not estimate.exact_tokens:
        tokenizer = escape.mrkdwn(estimate.counted_with or "another tokenizer", 60)
        blocks.append(
            context(f"The number of tokens is an estimate: this model splits text otherwise than {tokenizer}.")
        )
    if elsewhere:
        listed = "\n".join(f"• {escape.mrkdwn(offer.words, 300)}" for offer in elsewhere)
        blocks.append(context(f"With another model elsewhere, this dataset would cost:\n{listed}"))
    blocks.append(context(_claim(estimate)))
    if any(one.closed for one in ending):
        box = option("Try anyway", TRY_ANYWAY, "the vendor's own answer decides; a refused job costs nothing")
        element = checkboxes(TRY_ANYWAY, [box], made=False)
        blocks.append(field_block(TRY_ANYWAY, "This is known to be closed", element, optional=True))
    carried = {"channel": channel_id, "draft": draft, "counted": asdict(counted) if counted else None}
    return modal("confirm_start", "Plan and cost", blocks, submit="Start", close="Back", metadata=json.dumps(carried))


def counted(view: Mapping[str, Any]) -> Count | None:
    """What a confirmation carries of its dataset's tokens."""
    data = json.loads(view.get("private_metadata") or "{}").get("counted")
    return Count(int(data["total"]), str(data["tokenizer"])) if data else None


def tries_anyway(view: Mapping[str, Any]) -> bool | None:
    """Whether the box is ticked; None where there is none."""
    state = view["state"]["values"].get(TRY_ANYWAY)
    return None if state is None else bool(state[TRY_ANYWAY].get("selected_options"))


def _what(
    choices: Choices, estimate: Estimate, dataset: Dataset, test: Dataset | None, left_out: int, memory: str
) -> Block:
    watched = [f"*Watched while training*\n{estimate.validated:,} examples"] if estimate.validated else []
    vendor = prices.vendor(choices.provider).text
    here = "this machine: nothing leaves it" if choices.provider == "local" else f"{vendor}: nothing leaves it"
    where = here if choices.provider in ON_THIS_MACHINE else f"{vendor}: the data goes there"
    return fields(
        f"*Learn from*\n{escape.mrkdwn(dataset.name, 80)}, {estimate.examples:,} examples",
        f"*Test on*\n{_held_out(choices, estimate, test, left_out)}",
        *watched,
        f"*Base model*\n{escape.mrkdwn(prices.short_name(choices.base_model), 80)}",
        f"*Where*\n{where}",
        f"*Method*\n{_method(choices)}",
        f"*Steps*\n{_steps(choices, estimate)}",
        *([f"*Memory*\n{escape.mrkdwn(memory, 200)}"] if memory else []),
        *_settings(choices),
    )


def _cost(choices: Choices, estimate: Estimate) -> list[Block]:
    """Each part with its price, and the whole; what is not known is said."""
    if choices.provider in ON_THIS_MACHINE | {"stub"}:
        return [section(f"*Cost*: {escape.mrkdwn(estimate.line)}")]
    total = "not known as a whole" if estimate.total is None else about(estimate.total)
    lines = [f"*Cost*: {total}", f"• *Training*: {escape.mrkdwn(estimate.training, 600)}"]
    if estimate.hosting_words:
        lines.append(f"• *Hosting*: {escape.mrkdwn(estimate.hosting_words, 600)}")
    if estimate.answers:
        price = "price unknown" if estimate.answers_dollars is None else about(estimate.answers_dollars)
        lines.append(f"• *Evaluation*: {estimate.answers:,} answers, {price}")
    blocks = [section("\n".join(lines))]
    if estimate.price_url:
        blocks.append(context(f"Prices: <{estimate.price_url}|{escape.mrkdwn(estimate.price_source, 100)}>"))
    return blocks


def _tiers(tiers: Sequence[Option]) -> str:
    return " · ".join(escape.mrkdwn(f"{one.text.partition(':')[0]} {one.description}", 120) for one in tiers)


def _method(choices: Choices) -> str:
    rank, tuning = choices.number("lora_r"), str(choices.knob("tuning") or "lora")
    if tuning == "full":
        return f"{choices.method.upper()}, all weights"
    return (
        f"{TUNINGS[tuning]} {choices.method.upper()}, rank {rank:g}"
        if rank
        else METHODS.get(choices.method, choices.method)
    )


def _settings(choices: Choices) -> list[str]:
    """What was set beside the usual, and what only this vendor knows."""
    usual = {one.name: one for one in choices.usable_knobs}
    said = [
        f"{usual[name].text.lower()} {escape.mrkdwn(str(value), 40)}"
        for name, value in choices.knobs.items()
        if name in usual and name not in SAID and value != usual[name].default
    ]
    tiers = prices.vendor(choices.provider).tiers
    said += [
        f"{name.replace('_', ' ')}: {_short(tiers.get(value, value) if name == 'training_tier' else value)}"
        for name, value in choices.options.items()
    ]
    return [f"*Settings*\n{', '.join(said)[:600]}"] if said else []


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return escape.mrkdwn(str(value.get("type") or "as given"), 40)
    return escape.mrkdwn(", ".join(map(str, value)) if isinstance(value, list) else str(value), 80)


def _steps(choices: Choices, estimate: Estimate) -> str:
    batch = at_once(choices)
    about = "about " if estimate.epochs_by_vendor else ""
    if not batch:
        return f"{about}{estimate.epochs} epochs; the provider chooses how many examples a step has"
    if not estimate.steps:
        return f"{about}{estimate.epochs} epochs; examples are joined first, so how many steps there are shows then"
    return (
        f"{estimate.steps:,}, of one example each" if batch == 1 else f"{estimate.steps:,}, of {batch:g} examples each"
    )


def _held_out(choices: Choices, estimate: Estimate, test: Dataset | None, left_out: int) -> str:
    if estimate.short_runs:
        return (
            f"all {estimate.held_out:,} examples, each by one of {estimate.short_runs} short runs that has not seen it"
        )
    if estimate.held_out == 0:
        chosen = choices.test_on is TestOn.NOTHING
        return "nothing, as chosen" if chosen else "nothing: too few examples"
    if test is None:
        return f"{estimate.held_out:,} examples of the same file, kept back"
    most = min(estimate.held_out, test.examples - left_out)
    fresh = " that were not learnt from" if left_out else ""
    return f"{escape.mrkdwn(test.name, 80)}, the first {most:,} of {test.examples - left_out:,} examples{fresh}"


def _claim(estimate: Estimate) -> str:
    """What the evaluation will be able to say, and what it will not."""
    if estimate.not_hosted:
        return "Nothing is compared, as the tuned model cannot be deployed: it stays at the vendor, and can be later."
    if estimate.short_runs:
        return (
            "The short runs are compared with the base model on what each has not seen. The model that you get learns "
            "from everything and is not tested itself: it should do about as well, which nobody will have checked."
        )
    if estimate.held_out == 0:
        return (
            "Nothing will be tested: nobody can say afterwards whether the tuned model is better or worse than the "
            "base model. You can chat with it and judge by eye."
        )
    return "The tuned model is then compared with the base model on what neither has seen."
