"""The form that starts a run: filled in when it opens, drawn anew when the provider or the dataset changes.

What the person typed stays, as Slack keeps it where block and action stay. So a control whose meaning depends on the
provider has the provider in its action's name: another provider's control begins anew.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot import escape
from bot.blocks.dataset_report import ROLES
from bot.blocks.elements import (
    Block,
    actions,
    button,
    context,
    field_block,
    modal,
    number_input,
    option,
    section,
    select,
    text_input,
)
from providers import prices
from providers.base import AUTO, Hyperparameter, Knob, Method
from providers.capabilities import CAPABILITIES
from providers.retirements import Notice
from workers.dataprep.split import LEAST_TO_HOLD_OUT
from workers.runs.choices import FOLDS, Choices, TestOn
from workers.runs.grading import MOST_CHARACTERS
from workers.runs.offered import OTHER
from workers.runs.plan import StartForm
from workers.tables import Dataset

REDRAW = "start_redraw"
"""How the actions begin whose change draws the form anew."""
ADVANCED = "start_advanced"
ATTACH = "attach"
"""The choice of attaching a test file first."""
NOTHING_WATCHED = "nothing"
HELD_OUT_WATCHED = "held-out"
TESTS = (
    (TestOn.HELD_OUT, "Part of the training data", "a share is kept back, never trained on"),
    (TestOn.CROSS_CHECK, f"Cross-checking, {FOLDS} short runs more", "tests on every example; 3 times the training"),
    (TestOn.NOTHING, "Nothing: train without a test", "nothing can be claimed about the result"),
)


def loading() -> Block:
    """What is there at once, until the form is filled."""
    return modal("start_loading", "Start fine-tuning", [section("⏳ Looking at your datasets …")])


def nothing(problems: Sequence[str]) -> Block:
    """What is shown where no form can be filled."""
    return modal("start_nothing", "Start fine-tuning", [section(escape.mrkdwn(one)) for one in problems])


def draw(form: StartForm, channel_id: str, *, draft: int = 0, advanced: bool = False) -> Block:
    """The form around its choices. `draft` is where they are kept; `advanced`: with the settings few people need."""
    if form.choices is None:
        return nothing(form.problems)
    choices = form.choices
    places = select(REDRAW, [_option(one) for one in form.providers], choices.provider)
    blocks = [
        *_notes(form.notes),
        *_data(form, choices),
        field_block("provider", "Where", places, dispatch=True),
        *(section(f"⚠️ {escape.mrkdwn(one, 600)}") for one in form.warnings),
        *_model(form, choices),
        *notices(form.notices),
        *_options(form, choices),
        *_knobs(choices, advanced=advanced),
        context(
            "Everything is filled in sensibly: if in doubt, just go on. Nothing starts before you have seen the plan."
        ),
    ]
    metadata = json.dumps({"channel": channel_id, "draft": draft, "advanced": advanced})
    return modal(
        "start_form", "Start fine-tuning", blocks, submit="See plan and cost", close="Not now", metadata=metadata
    )


def opened(view: Mapping[str, Any]) -> tuple[str, int, bool]:
    """The channel of a form of ours, where its choices are kept, and whether it shows the advanced settings."""
    data = json.loads(view.get("private_metadata") or "{}")
    return str(data.get("channel") or ""), int(data.get("draft") or 0), bool(data.get("advanced"))


def notices(some: Sequence[Notice]) -> list[Block]:
    """What is over and what will be, with the page that says so, and the oldest day that it was read for it."""
    if not some:
        return []
    pages = {one.url: one.source for one in sorted(some, key=lambda one: one.as_of, reverse=True)}
    lines = [f"{'⛔' if one.closed else '⏰'} {escape.mrkdwn(one.words, 300)}" for one in some]
    read = ", ".join(f"<{url}|{escape.mrkdwn(source, 100)}>" for url, source in pages.items())
    return [context("\n".join(lines) + f"\nRead in: {read}")]


def _notes(notes: Sequence[str]) -> list[Block]:
    if not notes:
        return []
    return [section("\n".join(f"• {escape.mrkdwn(one, 250)}" for one in notes[:10]))]


def _data(form: StartForm, choices: Choices) -> list[Block]:
    """What is learnt from, tested on and watched; name and goal."""
    datasets = [_dataset_option(row) for row in form.datasets]
    tests = [
        *(option(text, str(value), description) for value, text, description in TESTS),
        option("Attach a test file first", ATTACH, "the best test: what nobody trained on"),
        *datasets,
    ]
    test = str(choices.test_dataset_id or choices.test_on)
    watched = [
        option("Nothing", NOTHING_WATCHED, "the training loss alone"),
        option("Part of the training data", HELD_OUT_WATCHED, "a tenth is kept back, never trained on"),
        *datasets,
    ]
    watching = choices.validation_dataset_id or (HELD_OUT_WATCHED if choices.hold_out_validation else NOTHING_WATCHED)
    return [
        field_block("dataset_id", "Learn from", select(REDRAW, datasets, str(choices.dataset_id)), dispatch=True),
        field_block("test_dataset_id", "Test the result on", select("value", tests[:100], test), hint=_hint(form)),
        field_block(
            "validation_dataset_id",
            "Watch while training",
            select("value", watched[:100], str(watching)),
            hint="Its loss tells early whether the model learns by heart. It must not be the test.",
        ),
        field_block("name", "Name", text_input("value", choices.name, most=40)),
        field_block(
            "goal",
            "What should it do better?",
            text_input("value", choices.goal, placeholder="e.g. always answer with a JSON list", most=300),
            optional=True,
        ),
    ]


def _model(form: StartForm, choices: Choices) -> list[Block]:
    """The base model; one that is not listed is typed."""
    listed = [_option(one) for one in form.base_models]
    other = choices.base_model not in {one.value for one in form.base_models} or choices.base_model == OTHER
    chosen = OTHER if other else choices.base_model
    action = f"{REDRAW}_{choices.provider}"
    blocks = [field_block("base_model", "Base model", select(action, listed, chosen), dispatch=True)] if listed else []
    if other and any(one.value == OTHER for one in form.base_models):
        typed = "" if choices.base_model == OTHER else choices.base_model
        field = text_input(choices.provider, typed, placeholder=_model_example(choices.provider), most=199)
        blocks.append(field_block("other_model", "The model's name there", field, hint=_model_hint(choices.provider)))
    return blocks


def _model_example(provider: str) -> str:
    if provider == "azure_ml":
        return "azureml://registries/azureml/models/NAME/versions/1"
    return "ft:gpt-4.1-mini-2025-04-14:…" if provider == "openai" else "gpt-4.1-mini-2025-04-14"


def _model_hint(provider: str) -> str:
    if provider == "azure_ml":
        return "The model's address in a registry, as the vendor's model catalogue shows it."
    return "A base model, or one that was tuned before, to go on with. Its price is not known here."


def _options(form: StartForm, choices: Choices) -> list[Block]:
    """What only this vendor knows."""
    known = CAPABILITIES[choices.provider].options if choices.provider in CAPABILITIES else frozenset()
    blocks = []
    if "training_tier" in known and form.tiers:
        tiers = [_option(one) for one in form.tiers]
        chosen = str(choices.options.get("training_tier") or prices.vendor(choices.provider).tier)
        blocks.append(
            field_block(
                "training_tier",
                "Training tier",
                select(f"tier_{choices.provider}", tiers, chosen),
                hint="Where it is trained, and for what price. The training data goes there too.",
            )
        )
    if "grader" in known and choices.method is Method.RFT:
        grader = choices.options.get("grader")
        text = json.dumps(grader, indent=1, ensure_ascii=False) if grader else ""
        if len(text) > MOST_CHARACTERS:
            blocks.append(section("*Grader*: as the job file has it; it is too long to be shown here."))
        else:
            field = text_input(f"grader_{choices.dataset_id}", text, multiline=True, most=MOST_CHARACTERS)
            hint = "JSON. Says how good an answer is; {{item.…}} are the dataset's fields."
            blocks.append(field_block("grader", "Grader", field, hint=hint))
    if "instance_types" in known:
        typed = ", ".join(map(str, choices.options.get("instance_types") or ()))
        field = text_input("value", typed, placeholder="e.g. Standard_NC24ads_A100_v4", most=200)
        hint = "Of your own quota. Empty: the vendor's serverless training."
        blocks.append(field_block("instance_types", "Machine type", field, optional=True, hint=hint))
    return blocks


def _knobs(choices: Choices, *, advanced: bool) -> list[Block]:
    """The hyperparameters; those that few people need behind a button."""
    usable = choices.usable_knobs
    shown = [one for one in usable if not one.advanced]
    hidden = [one for one in usable if one.advanced]
    blocks = [_knob(one, choices) for one in shown]
    if hidden:
        text = "Hide the advanced settings" if advanced else "Advanced settings"
        blocks.append({**actions(button(text, ADVANCED, "hide" if advanced else "show")), "block_id": "advanced"})
        blocks += [_knob(one, choices) for one in hidden] if advanced else []
    return blocks


def _knob(knob: Knob, choices: Choices) -> Block:
    """One hyperparameter's field; where the vendor may choose, "auto" may be typed."""
    value: Hyperparameter | None = choices.knob(knob.name)
    chosen = knob.default if value is None else value
    action = f"knob_{choices.provider}"
    if knob.choices:
        field = select(action, [option(one, one) for one in knob.choices], str(chosen))
    elif knob.can_auto:
        field = text_input(action, f"{chosen}", most=20)
    else:
        field = number_input(action, float(chosen), knob.low, knob.high, decimal=not knob.whole)
    auto = f"“{AUTO}” (the vendor chooses), or {knob.low:g} to {knob.high:g}" if knob.can_auto else ""
    return field_block(knob.name, knob.text, field, hint="; ".join(filter(None, [knob.hint, auto])))


def _hint(form: StartForm) -> str:
    chosen = form.choices
    row = next((one for one in form.datasets if chosen and one.id == chosen.test_dataset_id), None)
    if row is not None and row.role_reason:
        return f"Guessed: {row.role_reason}."
    if row is None and chosen is not None and chosen.test_on is TestOn.NOTHING:
        return (
            f"Fewer than {LEAST_TO_HOLD_OUT} examples and no test file: too few to keep some back. Without a test "
            "nobody can say whether the result is better. Cross-checking tests the data and the settings, not the very "
            "model that you get. A test file tests that model."
        )
    return "A model must be tested on what it has not seen."


def _dataset_option(row: Dataset) -> Block:
    version = f" v{row.version}" if row.version > 1 else ""
    text = escape.plain(f"{row.name}{version} ({row.examples:,} ex.)", 75)
    return option(text, str(row.id), escape.plain(ROLES[row.role], 75))


def _option(one: Any) -> Block:
    return option(escape.plain(one.text, 75), one.value, escape.plain(one.description, 75) if one.description else "")
