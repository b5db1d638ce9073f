"""What may be asked of a training there: everything that is wrong with a request is said at once."""

import re
from collections.abc import Mapping
from decimal import Decimal

from providers.azure_ml import catalogue
from providers.azure_ml.workspace import NAME
from providers.base import AUTO, Capabilities, Knob, Method, TrainingRequest
from providers.errors import InvalidRequest

OPENAI, CUSTOM = "AzureOpenAI", "Custom"
"""Values of the option model_provider."""

_INSTANCE_TYPE = re.compile(r"\w{1,64}")
_TIERS = ("Spot", "Basic", "Standard", "Premium")


def is_openai(request: TrainingRequest) -> bool:
    """Whether the base model is one of OpenAI's."""
    return request.options.get("model_provider") == OPENAI


def refuse(request: TrainingRequest, can: Capabilities) -> None:
    """Raise InvalidRequest with everything that is wrong with a request."""
    wrong = []
    if request.method is not Method.SFT:
        wrong.append(f"it learns from examples only (sft), not by {request.method}")
    knobs = {one.name: one for one in can.knobs}
    for name, value in request.hyperparameters.items():
        problem = _knob_problem(name, value, knobs.get(name))
        if problem:
            wrong.append(problem)
    wrong += [f"there is no option {name}" for name in sorted(set(request.options) - can.options)]
    wrong += _option_problems(request, knobs)
    try:
        catalogue.parts(request.base_model, openai=is_openai(request))
    except InvalidRequest as error:
        wrong.append(error.user_message)
    if wrong:
        raise InvalidRequest(f"{NAME} cannot train this: {'; '.join(wrong)}.".replace("..", "."))


def _knob_problem(name: str, value: object, knob: Knob | None) -> str:
    if knob is None:
        return f"it has no {name}"
    if value == AUTO:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float) or (knob.whole and int(value) != value):
        return f"{name} must be a {'whole ' if knob.whole else ''}number"
    return "" if knob.low <= value <= knob.high else f"{name} must be from {knob.low:g} to {knob.high:g}"


def _option_problems(request: TrainingRequest, knobs: Mapping[str, Knob]) -> list[str]:
    wrong = []
    kinds, tier = request.options.get("instance_types"), request.options.get("job_tier")
    vendor = request.options.get("model_provider") or CUSTOM
    if vendor not in {CUSTOM, OPENAI}:
        wrong.append(f"model_provider must be {CUSTOM} or {OPENAI}")
    if kinds and not (
        isinstance(kinds, list | tuple) and all(isinstance(one, str) and _INSTANCE_TYPE.fullmatch(one) for one in kinds)
    ):
        wrong.append('instance_types must be a list of names, such as ["Standard_NC24ads_A100_v4"]')
    if tier and tier not in _TIERS:
        wrong.append(f"job_tier must be one of {', '.join(_TIERS)}")
    if vendor == OPENAI:
        rate = request.hyperparameters.get("learning_rate", AUTO)
        if rate not in {AUTO, knobs["learning_rate"].default}:
            wrong.append("OpenAI's models choose their learning rate themselves: leave it as it is")
        if kinds or tier:
            wrong.append("OpenAI's models choose their machines themselves: leave out instance_types and job_tier")
    return wrong


def in_words(value: object) -> str:
    """A number as Azure wants it: text, without an exponent."""
    return f"{Decimal(str(value)):f}"
