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
    option,
    section,
    select_exactly,
    text_input,
)
from bot.blocks.start_settings import knobs, menu_option, options
from providers import prices
from providers.retirements import Notice
from workers.dataprep.split import LEAST_TO_HOLD_OUT
from workers.plans.choices import FOLDS, Choices, TestOn
from workers.plans.offered import OTHER
from workers.plans.plan import StartForm
from workers.tables import Dataset

REDRAW = "start_redraw"
"""How the actions begin whose change draws the form anew."""
INSTEAD = "start_instead"
"""How the actions begin that take a plan to another provider than its own, which is not set up."""
MOST_NOTES = 15
LEAST_WAYS = 2
"""Of fewer methods there is nothing to choose."""
GONE = "A dataset that is not there any more"
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
    metadata = json.dumps({"channel": channel_id, "draft": draft, "advanced": advanced})
    if form.problems:
        return _elsewhere(form, metadata)
    choices = form.choices
    providers = [menu_option(one) for one in form.providers]
    places = select_exactly(REDRAW, providers, choices.provider, prices.vendor(choices.provider).text)
    blocks = [
        *_notes(form.notes),
        *_data(form, choices),
        field_block("provider", "Where", places, dispatch=True),
        *(section(f"⚠️ {escape.mrkdwn(one, 600)}") for one in form.warnings),
        *_method(form, choices),
        *_model(form, choices),
        *notices(form.notices),
        *options(form, choices),
        *knobs(form, choices, advanced=advanced),
        context(
            "Everything is filled in sensibly: if in doubt, just go on. Nothing starts before you have seen the plan."
        ),
    ]
    return modal(
        "start_form", "Start fine-tuning", blocks, submit="See plan and cost", close="Not now", metadata=metadata
    )


def _elsewhere(form: StartForm, metadata: str) -> Block:
    """Why a plan's provider cannot be chosen here, and a button for each that can: none is chosen silently."""
    blocks = [section(escape.mrkdwn(one)) for one in form.problems]
    if form.providers:
        blocks.append(section("Or train it here, or elsewhere, instead. The form says what becomes of each setting:"))
        blocks.append(
            actions(
                *(button(escape.plain(one.text, 75), f"{INSTEAD}_{one.value}", one.value) for one in form.providers)
            )
        )
    return modal("start_nothing", "Start fine-tuning", blocks, metadata=metadata)


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
    lines = [f"• {escape.mrkdwn(one, 180)}" for one in shortened(notes)]
    return [section("\n".join(lines))]


def shortened(notes: Sequence[str], most: int = MOST_NOTES) -> list[str]:
    """The first of the notes; the last says how many are missing, if any are."""
    if len(notes) <= most:
        return list(notes)
    return [*notes[: most - 1], f"… and {len(notes) - most + 1} more"]


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
        field_block(
            "dataset_id", "Learn from", select_exactly(REDRAW, datasets, str(choices.dataset_id), GONE), dispatch=True
        ),
        field_block(
            "test_dataset_id", "Test the result on", select_exactly("value", tests, test, GONE), hint=_hint(form)
        ),
        field_block(
            "validation_dataset_id",
            "Watch while training",
            select_exactly("value", watched, str(watching), GONE),
            hint="The loss on these shows early whether the model only learns by heart. They must not be the test.",
        ),
        field_block("name", "Name", text_input("value", choices.name, most=40)),
        field_block(
            "goal",
            "What should it do better?",
            text_input("value", choices.goal, placeholder="e.g. always answer with a JSON list", most=300),
            optional=True,
        ),
    ]


def _method(form: StartForm, choices: Choices) -> list[Block]:
    """How the dataset is learnt from, where there are several ways."""
    if len(form.methods) < LEAST_WAYS:
        return []
    listed = [menu_option(one) for one in form.methods]
    action = f"{REDRAW}_{choices.provider}_{choices.dataset_id}"
    element = select_exactly(action, listed, choices.method, choices.method.upper())
    return [field_block("method", "Method", element, dispatch=True)]


def _model(form: StartForm, choices: Choices) -> list[Block]:
    """The base model; one that is not listed is typed."""
    listed = [menu_option(one) for one in form.base_models]
    names = {one.value for one in form.base_models}
    other = OTHER in names and (choices.base_model not in names or choices.base_model == OTHER)
    chosen = OTHER if other else choices.base_model
    said = f"{escape.cut(prices.short_name(chosen), 50)} (not offered here)"
    element = select_exactly(f"{REDRAW}_{choices.provider}", listed, chosen, said)
    blocks = [field_block("base_model", "Base model", element, dispatch=True)]
    if other:
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


def _hint(form: StartForm) -> str:
    chosen = form.choices
    row = next((one for one in form.datasets if chosen and one.id == chosen.test_dataset_id), None)
    if chosen is not None and chosen.job_file_id is not None and row is not None:
        return "From the job file, or as you chose since."
    if row is not None and row.role_reason:
        return f"Guessed: {row.role_reason}."
    if row is None and chosen is not None and chosen.test_on is TestOn.NOTHING:
        learnt = next((one for one in form.datasets if one.id == chosen.dataset_id), None)
        few = learnt is not None and learnt.examples < LEAST_TO_HOLD_OUT
        why = f"Fewer than {LEAST_TO_HOLD_OUT} examples and no test file: too few to keep some back. " if few else ""
        return (
            f"{why}Without a test nobody can say whether the result is better. Cross-checking tests the data and the "
            "settings, not the very model that you get. A test file tests that model."
        )
    return "A model must be tested on what it has not seen."


def _dataset_option(row: Dataset) -> Block:
    version = f" v{row.version}" if row.version > 1 else ""
    text = escape.plain(f"{row.name}{version} ({row.examples:,} ex.)", 75)
    return option(text, str(row.id), escape.plain(ROLES[row.role], 75))
