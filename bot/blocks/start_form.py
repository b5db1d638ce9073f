"""The form that starts a run, filled in when it opens, and the confirmation with cost and plan."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot import escape
from bot.blocks.dataset_report import ROLES
from bot.blocks.elements import (
    Block,
    context,
    field_block,
    fields,
    modal,
    number_input,
    option,
    section,
    select,
    text_input,
)
from workers.runs.cost import Estimate
from workers.runs.plan import LIMITS, Choices, StartForm
from workers.tables import Dataset

HELD_OUT = "held-out"
"""The choice of testing on a part of the training data."""


def loading() -> Block:
    """What is there at once, until the form is filled."""
    return modal("start_loading", "Start fine-tuning", [section("⏳ Looking at your datasets …")])


def nothing(problems: Sequence[str]) -> Block:
    """What is shown where no form can be filled."""
    return modal("start_nothing", "Start fine-tuning", [section(escape.mrkdwn(one)) for one in problems])


def draw(form: StartForm, channel_id: str) -> Block:
    """The form around its proposed choices."""
    if form.choices is None:
        return nothing(form.problems)
    choices = form.choices
    datasets = [_dataset_option(row) for row in form.datasets]
    tests = [option("Part of the training data", HELD_OUT, "a share is kept back, never trained on"), *datasets][:100]
    test = str(choices.test_dataset_id or HELD_OUT)
    blocks = [
        field_block("dataset_id", "Learn from", select("value", datasets, str(choices.dataset_id))),
        field_block("test_dataset_id", "Test the result on", select("value", tests, test), hint=_hint(form)),
        field_block("name", "Name", text_input("value", choices.name, most=40)),
        field_block(
            "goal",
            "What should it do better?",
            text_input("value", choices.goal, placeholder="e.g. always answer with a JSON list", most=300),
            optional=True,
        ),
        field_block("provider", "Where", select("value", [_option(one) for one in form.providers], choices.provider)),
        field_block(
            "base_model", "Base model", select("value", [_option(one) for one in form.base_models], choices.base_model)
        ),
        field_block("epochs", "Epochs", number_input("value", choices.epochs, *LIMITS["epochs"], decimal=False)),
        field_block(
            "learning_rate",
            "Learning rate",
            number_input("value", choices.learning_rate, *LIMITS["learning_rate"], decimal=True),
        ),
        field_block(
            "batch_size",
            "Examples a step",
            number_input("value", choices.batch_size, *LIMITS["batch_size"], decimal=False),
        ),
        field_block("lora_r", "LoRA rank", number_input("value", choices.lora_r, *LIMITS["lora_r"], decimal=False)),
        context(
            "Everything is filled in sensibly: if in doubt, just go on. Nothing starts before you have seen the plan."
        ),
    ]
    metadata = json.dumps({"channel": channel_id})
    return modal(
        "start_form", "Start fine-tuning", blocks, submit="See plan and cost", close="Not now", metadata=metadata
    )


def _hint(form: StartForm) -> str:
    chosen = form.choices
    row = next((one for one in form.datasets if chosen and one.id == chosen.test_dataset_id), None)
    if row is not None and row.role_reason:
        return f"Guessed: {row.role_reason}."
    return "A model must be tested on what it has not seen."


def _dataset_option(row: Dataset) -> Block:
    version = f" v{row.version}" if row.version > 1 else ""
    text = escape.plain(f"{row.name}{version} ({row.examples:,} ex.)", 75)
    return option(text, str(row.id), escape.plain(ROLES[row.role], 75))


def _option(one: Any) -> Block:
    return option(escape.plain(one.text, 75), one.value, escape.plain(one.description, 75) if one.description else "")


def read(values: Mapping[str, Any], known: Choices) -> Choices:
    """What the person chose, over `known`. Raises ValueError for what is no number."""
    plain = {block: _value(state) for block, inner in values.items() for state in inner.values()}
    test = plain.get("test_dataset_id", HELD_OUT)
    return Choices(
        dataset_id=int(plain["dataset_id"]),
        test_dataset_id=None if test == HELD_OUT else int(test),
        name=str(plain.get("name") or ""),
        goal=str(plain.get("goal") or ""),
        provider=str(plain.get("provider") or known.provider),
        base_model=str(plain.get("base_model") or known.base_model),
        method=known.method,
        epochs=int(plain.get("epochs") or known.epochs),
        learning_rate=float(plain.get("learning_rate") or known.learning_rate),
        batch_size=int(plain.get("batch_size") or known.batch_size),
        lora_r=int(plain.get("lora_r") or known.lora_r),
        seed=known.seed,
    )


def _value(state: Mapping[str, Any]) -> Any:
    chosen = state.get("selected_option")
    return chosen["value"] if chosen else state.get("value")


def confirmation(
    choices: Choices, estimate: Estimate, dataset: Dataset, test: Dataset | None, channel_id: str
) -> Block:
    """Plan and cost, before anything starts. Carries the choices to the last button."""
    held = _held_out(estimate, test)
    blocks = [
        section(
            f"*{escape.mrkdwn(choices.name, 60)}*" + (f"\n{escape.mrkdwn(choices.goal, 300)}" if choices.goal else "")
        ),
        fields(
            f"*Learn from*\n{escape.mrkdwn(dataset.name, 80)}, {estimate.examples:,} examples",
            f"*Test on*\n{held}",
            f"*Base model*\n{escape.mrkdwn(choices.base_model.split('/')[-1], 80)}",
            f"*Where*\n{'this machine: nothing leaves it' if choices.provider == 'local' else choices.provider}",
            f"*Method*\nLoRA {choices.method.upper()}, rank {choices.lora_r}",
            f"*Steps*\n{estimate.steps:,}, of {choices.batch_size} examples each",
        ),
        section(f"*Cost*: {escape.mrkdwn(estimate.line)}"),
        context("The tuned model is then compared with the base model on what neither has seen."),
    ]
    metadata = json.dumps({"channel": channel_id, "choices": choices.to_json()}, ensure_ascii=False)
    return modal("confirm_start", "Plan and cost", blocks, submit="Start", close="Back", metadata=metadata)


def _held_out(estimate: Estimate, test: Dataset | None) -> str:
    if estimate.held_out == 0:
        return "nothing: too few examples, so nothing can be claimed about the result"
    if test is None:
        return f"{estimate.held_out:,} examples of the same file, kept back"
    return f"{escape.mrkdwn(test.name, 80)}, the first {estimate.held_out:,} of {test.examples:,} examples"


def opened(view: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The channel and the choices that a form of ours carries."""
    data = json.loads(view.get("private_metadata") or "{}")
    return str(data.get("channel") or ""), data.get("choices") or {}
