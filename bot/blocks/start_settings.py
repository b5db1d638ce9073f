"""The settings in the start form: what only the chosen vendor knows, and the hyperparameters."""

import json

from bot import escape
from bot.blocks.elements import (
    Block,
    actions,
    button,
    field_block,
    number_input,
    option,
    section,
    select,
    select_exactly,
    text_input,
)
from providers import prices
from providers.base import AUTO, Hyperparameter, Knob, Method
from providers.capabilities import CAPABILITIES, HOSTING_CAPACITY
from workers.plans import grading
from workers.plans.choices import MOST_TYPES_CHARACTERS, Choices
from workers.plans.offered import Option
from workers.plans.proposal import StartForm

PRESET = "start_redraw_preset"
"""The menu of presets; its change draws the form anew."""
ADVANCED = "start_advanced"
"""The button that shows or hides the hyperparameters that few people need."""


def options(form: StartForm, choices: Choices) -> list[Block]:
    """What only this vendor knows."""
    known = CAPABILITIES[choices.provider].options if choices.provider in CAPABILITIES else frozenset()
    blocks = []
    if "training_tier" in known and form.tiers:
        tiers = [menu_option(one) for one in form.tiers]
        usual = prices.vendor(choices.provider).tier
        usual = usual if usual in {one.value for one in form.tiers} else form.tiers[0].value
        written = choices.options.get("training_tier")
        chosen = prices.tier_named(choices.provider, written) or str(written or usual)
        blocks.append(
            field_block(
                "training_tier",
                "Training tier",
                select_exactly(f"tier_{choices.provider}", tiers, chosen, _tier(choices.provider, chosen)),
                hint="Where it is trained, and for what price. The training data goes there too.",
            )
        )
    if HOSTING_CAPACITY.name in known:
        written = choices.options.get(HOSTING_CAPACITY.name)
        capacity = written if isinstance(written, int | float) else HOSTING_CAPACITY.default
        field = _number(f"capacity_{choices.provider}", HOSTING_CAPACITY, capacity)
        blocks.append(field_block(HOSTING_CAPACITY.name, HOSTING_CAPACITY.text, field, hint=HOSTING_CAPACITY.hint))
    if "grader" in known and choices.method is Method.RFT:
        grader = choices.options.get("grader")
        text = json.dumps(grader, indent=1, ensure_ascii=False) if grader else ""
        if len(text) > grading.MOST_CHARACTERS:
            blocks.append(section("*Grader*: as the job file has it; it is too long to be shown here."))
        else:
            field = text_input(f"grader_{choices.dataset_id}", text, multiline=True, most=grading.MOST_CHARACTERS)
            hint = "JSON. Says how good an answer is; {{item.…}} are the dataset's fields."
            blocks.append(field_block("grader", "Grader", field, hint=hint))
    if "instance_types" in known:
        typed = ", ".join(map(str, choices.options.get("instance_types") or ()))
        field = text_input("value", typed, placeholder="e.g. Standard_NC24ads_A100_v4", most=MOST_TYPES_CHARACTERS)
        hint = "Of your own quota. Empty: the vendor's serverless training."
        blocks.append(field_block("instance_types", "Machine type", field, optional=True, hint=hint))
    return blocks


def _tier(provider: str, tier: str) -> str:
    return f"{prices.vendor(provider).tiers.get(tier, tier)} (price unknown)"


def knobs(form: StartForm, choices: Choices, *, advanced: bool) -> list[Block]:
    """The hyperparameters, by a preset or one by one; those that few people need behind a button."""
    usable = choices.usable_knobs
    shown = [one for one in usable if not one.advanced]
    hidden = [one for one in usable if one.advanced]
    blocks = [*_presets(form), *(_knob(one, choices, form.preset) for one in shown)]
    if hidden:
        text = "Hide the advanced settings" if advanced else "Advanced settings"
        blocks.append({**actions(button(text, ADVANCED, "hide" if advanced else "show")), "block_id": "advanced"})
        blocks += [_knob(one, choices, form.preset) for one in hidden] if advanced else []
    return blocks


def _presets(form: StartForm) -> list[Block]:
    if not form.presets:
        return []
    menu = select_exactly(
        f"{PRESET}_{form.preset}", [menu_option(one) for one in form.presets], form.preset, "Own values"
    )
    return [field_block("preset", "Settings", menu, dispatch=True)]


def _knob(knob: Knob, choices: Choices, preset: str) -> Block:
    """One hyperparameter's field; where the vendor may choose, "auto" may be typed."""
    value: Hyperparameter | None = choices.knob(knob.name)
    chosen = knob.default if value is None else value
    action = f"knob_{choices.provider}_{preset}"
    if knob.choices:
        field = select(action, [option(one, one) for one in knob.choices], str(chosen))
    elif knob.can_auto:
        field = text_input(action, f"{chosen}", most=30)
    else:
        field = _number(action, knob, chosen)
    numbers = f"{knob.low:g} to {knob.high:g}"
    auto = f"or {numbers}" if AUTO in knob.hint else f"“{AUTO}” (the vendor chooses), or {numbers}"
    return field_block(
        knob.name, knob.text, field, hint="; ".join(filter(None, [knob.hint, auto if knob.can_auto else ""]))
    )


def _number(action: str, knob: Knob, value: Hyperparameter) -> Block:
    return number_input(action, float(value), knob.low, knob.high, decimal=not knob.whole)


def menu_option(one: Option) -> Block:
    """What can be chosen, as an option of a menu."""
    return option(escape.plain(one.text, 75), one.value, escape.plain(one.description, 75) if one.description else "")
