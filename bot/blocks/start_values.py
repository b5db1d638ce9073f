"""What a person chose in the start form: from the state of its controls to choices, or what is wrong, by field."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.blocks.start_form import ATTACH, HELD_OUT_WATCHED, NOTHING_WATCHED
from providers.base import AUTO, Hyperparameter, Method
from providers.capabilities import HOSTING_CAPACITY
from workers.errors import InvalidPlan
from workers.plans import grading
from workers.plans.choices import Choices, TestOn
from workers.plans.offered import OTHER

HOW_TO_ATTACH = (
    "Attach the test file to a message in this channel, ideally together with the training file. When its report is "
    "there, open this form again and choose it here."
)
NO_NUMBER = "This could not be read as a number."
Values = Mapping[str, Mapping[str, Mapping[str, Any]]]


def read(values: Values, known: Choices) -> Choices:
    """What the person chose, over `known` and still at its provider.

    Raises InvalidPlan for what cannot be read, and for what must wait.
    """
    plain = _plain(values)
    if plain.get("test_dataset_id") == ATTACH:
        raise InvalidPlan({"test_dataset_id": HOW_TO_ATTACH})
    problems: dict[str, str] = {}
    choices = _read(plain, known, problems)
    if problems:
        raise InvalidPlan(problems)
    return choices


def read_what_can_be(values: Values, known: Choices) -> Choices:
    """The same, of a form that is not yet submitted: what cannot be read stays as it is known."""
    return _read(_plain(values), known, {})


def provider(values: Values, known: Choices) -> str:
    """The provider that is chosen now; the other values are those of `known`'s until the form is drawn anew."""
    return str(_plain(values).get("provider") or known.provider)


def preset(values: Values) -> str:
    """The preset that is chosen in the form; empty where there is none."""
    return str(_plain(values).get("preset") or "")


def by_block(error: InvalidPlan, view: Mapping[str, Any], *, choices: Choices) -> dict[str, str]:
    """Each problem at its field; that of a field which is not shown at the first, with the field's name."""
    there = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    hidden = {one.name: one.text for one in choices.usable_knobs}
    placed: dict[str, str] = {}
    for name, problem in error.problems.items():
        at = "other_model" if name == "base_model" and "other_model" in there else name
        words = problem if at in there or name not in hidden else f"{hidden[name]}: {problem}"
        at = at if at in there else "dataset_id"
        placed[at] = f"{placed[at]} {words}" if at in placed else words
    return placed


def _read(plain: Mapping[str, Any], known: Choices, problems: dict[str, str]) -> Choices:
    test = str(plain.get("test_dataset_id") or known.test_dataset_id or known.test_on)
    otherwise = HELD_OUT_WATCHED if known.hold_out_validation else NOTHING_WATCHED
    watched = str(plain.get("validation_dataset_id") or known.validation_dataset_id or otherwise)
    waits = test == ATTACH
    return replace(
        known,
        dataset_id=int(plain.get("dataset_id") or known.dataset_id),
        test_dataset_id=int(test) if test.isdecimal() else None,
        test_on=TestOn.HELD_OUT if test.isdecimal() or waits else TestOn(test),
        validation_dataset_id=int(watched) if watched.isdecimal() else None,
        hold_out_validation=watched == HELD_OUT_WATCHED,
        name=str(plain.get("name") or ""),
        goal=str(plain.get("goal") or ""),
        base_model=_base_model(plain, known),
        method=_method(plain, known),
        knobs=_knobs(plain, known, problems),
        options=_options(plain, known, problems),
    )


def _method(plain: Mapping[str, Any], known: Choices) -> Method:
    chosen = str(plain.get("method") or "")
    return Method(chosen) if chosen in set(Method) else known.method


def _base_model(plain: Mapping[str, Any], known: Choices) -> str:
    chosen = str(plain.get("base_model") or known.base_model)
    return str(plain.get("other_model") or "").strip() or OTHER if chosen == OTHER else chosen


def _knobs(plain: Mapping[str, Any], known: Choices, problems: dict[str, str]) -> dict[str, Hyperparameter]:
    """The hyperparameters that were typed over those that are known; what is no number goes into `problems`."""
    typed: dict[str, Hyperparameter] = {}
    for knob in known.usable_knobs:
        value = str(plain.get(knob.name) or "").strip().lower()
        if not value:
            continue
        try:
            typed[knob.name] = value if knob.choices or value == AUTO else _number(value)
        except ValueError:
            problems[knob.name] = NO_NUMBER
    return {**known.knobs, **typed}


def _options(plain: Mapping[str, Any], known: Choices, problems: dict[str, str]) -> dict[str, Any]:
    """What only the vendor knows: those of the form over those that are known."""
    options = dict(known.options)
    if plain.get("training_tier"):
        options["training_tier"] = str(plain["training_tier"])
    if plain.get(HOSTING_CAPACITY.name):
        try:
            options[HOSTING_CAPACITY.name] = _number(str(plain[HOSTING_CAPACITY.name]))
        except ValueError:
            problems[HOSTING_CAPACITY.name] = NO_NUMBER
    if "instance_types" in plain:
        named = [one.strip() for one in str(plain["instance_types"] or "").split(",") if one.strip()]
        options.pop("instance_types", None)
        options |= {"instance_types": named} if named else {}
    if plain.get("grader"):
        try:
            options["grader"] = grading.read(str(plain["grader"]))
        except ValueError as error:
            problems["grader"] = str(error)
    return options


def _number(value: str) -> int | float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return int(number) if number.is_integer() else number


def _plain(values: Values) -> dict[str, Any]:
    """Each control's value by its block."""
    return {block: _value(state) for block, inner in values.items() for state in inner.values()}


def _value(state: Mapping[str, Any]) -> Any:
    chosen = state.get("selected_option")
    return chosen["value"] if chosen else state.get("value")
