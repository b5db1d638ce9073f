"""The form that starts a run, filled in when it opens, and the confirmation with cost and plan."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
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
from providers.base import AUTO, Hyperparameter, Knob
from workers.dataprep.split import LEAST_TO_HOLD_OUT
from workers.errors import InvalidPlan
from workers.runs.billing import Count
from workers.runs.choices import FOLDS, Choices, TestOn
from workers.runs.cost import Estimate, Offer
from workers.runs.leaks import Leaks
from workers.runs.plan import StartForm
from workers.tables import Dataset

ATTACH = "attach"
"""The choice of attaching a test file first."""
NOTHING_WATCHED = "nothing"
HELD_OUT_WATCHED = "held-out"
TESTS = (
    (TestOn.HELD_OUT, "Part of the training data", "a share is kept back, never trained on"),
    (TestOn.CROSS_CHECK, f"Cross-checking, {FOLDS} short runs more", "tests on every example; 3 times the training"),
    (TestOn.NOTHING, "Nothing: train without a test", "nothing can be claimed about the result"),
)
HOW_TO_ATTACH = (
    "Attach the test file to a message in this channel, ideally together with the training file. When its report is "
    "there, open this form again and choose it here."
)


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
    blocks = [
        field_block("dataset_id", "Learn from", select("value", datasets, str(choices.dataset_id))),
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
        field_block("provider", "Where", select("value", [_option(one) for one in form.providers], choices.provider)),
        field_block(
            "base_model", "Base model", select("value", [_option(one) for one in form.base_models], choices.base_model)
        ),
        *(_knob(one, choices.knob(one.name)) for one in choices.usable_knobs),
        context(
            "Everything is filled in sensibly: if in doubt, just go on. Nothing starts before you have seen the plan."
        ),
    ]
    metadata = json.dumps({"channel": channel_id})
    return modal(
        "start_form", "Start fine-tuning", blocks, submit="See plan and cost", close="Not now", metadata=metadata
    )


def _knob(knob: Knob, value: Hyperparameter | None) -> Block:
    """One hyperparameter's field; where the vendor may choose, "auto" may be typed."""
    chosen = knob.default if value is None else value
    if knob.choices:
        field = select("value", [option(one, one) for one in knob.choices], str(chosen))
    elif knob.can_auto:
        field = text_input("value", f"{chosen}", most=20)
    else:
        field = number_input("value", float(chosen), knob.low, knob.high, decimal=not knob.whole)
    auto = f"{AUTO}, or {knob.low:g} to {knob.high:g}" if knob.can_auto else ""
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


def read(values: Mapping[str, Any], known: Choices) -> Choices:
    """What the person chose, over `known`. Raises ValueError for what is no number, InvalidPlan for what must wait."""
    plain = {block: _value(state) for block, inner in values.items() for state in inner.values()}
    test = str(plain.get("test_dataset_id") or TestOn.HELD_OUT)
    if test == ATTACH:
        raise InvalidPlan({"test_dataset_id": HOW_TO_ATTACH})
    watched = str(plain.get("validation_dataset_id") or NOTHING_WATCHED)
    return Choices(
        dataset_id=int(plain["dataset_id"]),
        test_dataset_id=int(test) if test.isdecimal() else None,
        test_on=TestOn.HELD_OUT if test.isdecimal() else TestOn(test),
        validation_dataset_id=int(watched) if watched.isdecimal() else None,
        hold_out_validation=watched == HELD_OUT_WATCHED,
        name=str(plain.get("name") or ""),
        goal=str(plain.get("goal") or ""),
        provider=str(plain.get("provider") or known.provider),
        base_model=str(plain.get("base_model") or known.base_model),
        method=known.method,
        knobs=_knobs(plain, replace(known, provider=str(plain.get("provider") or known.provider))),
        options=known.options,
        seed=known.seed,
    )


def _knobs(plain: Mapping[str, Any], known: Choices) -> dict[str, Hyperparameter]:
    """The hyperparameters that were typed. Raises InvalidPlan for what is no number."""
    typed: dict[str, Hyperparameter] = {}
    problems = {}
    for knob in known.usable_knobs:
        value = str(plain.get(knob.name) or "").strip().lower()
        if not value:
            continue
        try:
            typed[knob.name] = value if knob.choices or value == AUTO else _number(value)
        except ValueError:
            problems[knob.name] = "This could not be read as a number."
    if problems:
        raise InvalidPlan(problems)
    return {**{name: value for name, value in known.knobs.items() if name not in typed}, **typed}


def _number(value: str) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number


def _value(state: Mapping[str, Any]) -> Any:
    chosen = state.get("selected_option")
    return chosen["value"] if chosen else state.get("value")


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
    leaks: Leaks | None = None,
    elsewhere: Sequence[Offer] = (),
    counted: Count | None = None,
) -> Block:
    """Plan and cost, before anything starts. Carries the choices, and what was `counted`, to the last button.

    `leaks` say what of the test was also in the training data, `elsewhere` what providers that are not set up ask.
    """
    held = _held_out(choices, estimate, test, leaks.left_out if leaks is not None else 0)
    watched = [f"*Watched while training*\n{estimate.validated:,} examples"] if estimate.validated else []
    blocks = [
        section(
            f"*{escape.mrkdwn(choices.name, 60)}*" + (f"\n{escape.mrkdwn(choices.goal, 300)}" if choices.goal else "")
        ),
        fields(
            f"*Learn from*\n{escape.mrkdwn(dataset.name, 80)}, {estimate.examples:,} examples",
            f"*Test on*\n{held}",
            *watched,
            f"*Base model*\n{escape.mrkdwn(choices.base_model.split('/')[-1], 80)}",
            f"*Where*\n{'this machine: nothing leaves it' if choices.provider == 'local' else choices.provider}",
            f"*Method*\n{_method(choices)}",
            f"*Steps*\n{_steps(choices, estimate)}",
        ),
    ]
    if leaks is not None and leaks.words:
        blocks.append(section(f"⚠️ {escape.mrkdwn(leaks.words, 2000)}"))
    blocks.append(section(f"*Cost*: {escape.mrkdwn(estimate.line)}"))
    if not estimate.exact_tokens:
        tokenizer = escape.mrkdwn(estimate.counted_with or "another tokenizer", 60)
        blocks.append(context(f"The tokens were counted with {tokenizer}, not as this model counts them: an estimate."))
    if elsewhere:
        said = " · ".join(escape.mrkdwn(offer.words, 300) for offer in elsewhere)
        blocks.append(context(f"Elsewhere it would cost: {said}"))
    blocks.append(context(_claim(estimate)))
    carried = {"channel": channel_id, "choices": choices.to_json(), "counted": asdict(counted) if counted else None}
    metadata = json.dumps(carried, ensure_ascii=False)
    return modal("confirm_start", "Plan and cost", blocks, submit="Start", close="Back", metadata=metadata)


def _method(choices: Choices) -> str:
    rank = choices.number("lora_r")
    return f"LoRA {choices.method.upper()}, rank {rank:g}" if rank else choices.method.upper()


def _steps(choices: Choices, estimate: Estimate) -> str:
    if not estimate.steps:
        return f"{estimate.epochs} epochs; the provider chooses how many examples a step has"
    return f"{estimate.steps:,}, of {choices.number('batch_size'):g} examples each"


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
    if estimate.short_runs:
        return (
            "The short runs are compared with the base model on what each has not seen. The model that you get learns "
            "from everything and is not tested itself: it should do about as well, which nobody will have checked."
        )
    if estimate.held_out == 0:
        return (
            "Nothing will be tested: nobody can say afterwards whether the tuned model is better or worse than the "
            "base model. You can chat with both and judge by eye."
        )
    return "The tuned model is then compared with the base model on what neither has seen."


def opened(view: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The channel and the choices that a form of ours carries."""
    data = json.loads(view.get("private_metadata") or "{}")
    return str(data.get("channel") or ""), data.get("choices") or {}


def counted(view: Mapping[str, Any]) -> Count | None:
    """What a confirmation carries of its dataset's tokens."""
    data = json.loads(view.get("private_metadata") or "{}").get("counted")
    return Count(int(data["total"]), str(data["tokenizer"])) if data else None
