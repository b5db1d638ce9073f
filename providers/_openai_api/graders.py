"""What computes the reward of reinforcement fine-tuning: a grader of the vendor's, checked before anything is sent.

What each kind must have is from OpenAI's published API description.
"""

import ast
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import structlog
from openai import OpenAI

from providers._openai_api.errors import Vendor, translated
from providers.errors import InvalidRequest, ProviderError

log = structlog.get_logger()

LONGEST_SOURCE = 256 * 1024
"""Characters of a python grader's source."""
DEEPEST = 4
MOST_INSIDE = 20
"""A multi grader may hold so many others."""

_OPERATIONS = ("eq", "ne", "like", "ilike")
_METRICS = (
    "cosine",
    "fuzzy_match",
    "bleu",
    "gleu",
    "meteor",
    *(f"rouge_{one}" for one in (1, 2, 3, 4, 5, "l")),
)
_ROLES = ("user", "assistant", "system", "developer")
_ASK = httpx2.Timeout(20.0, connect=5.0)


def problems(grader: object, where: str = "grader", depth: int = 0) -> list[str]:
    """What is wrong with a grader, each with its place in it; empty for nothing."""
    if not isinstance(grader, Mapping):
        return [f"{where} must be an object such as {{type: string_check, ...}}"]
    kind = grader.get("type")
    kinds = _KINDS if depth else {name: check for name, check in _KINDS.items() if name != "label_model"}
    if not isinstance(kind, str) or kind not in kinds:
        return [f"{where}.type must be one of {', '.join(sorted(kinds))}"]
    found = [] if _is_text(grader.get("name")) else [f"{where}.name must be a text"]
    return found + kinds[kind](grader, where, depth)


def validate(client: OpenAI, vendor: Vendor, grader: Mapping[str, Any]) -> None:
    """Let the vendor check the grader too, where it can. Raises InvalidRequest with its words if it refuses it."""
    try:
        with translated(vendor, "grader"):
            checks = client.with_options(max_retries=0).fine_tuning.alpha.graders.with_raw_response
            checks.validate(grader=grader, timeout=_ASK)  # type: ignore[arg-type]
    except InvalidRequest as refusal:
        raise InvalidRequest(f"The grader does not work. {refusal.user_message}", detail=refusal.detail) from None
    except ProviderError as error:  # only a service to people: the create call decides
        log.info("grader_not_validated", error=type(error).__name__)


def _string_check(grader: Mapping[str, Any], where: str, _depth: int) -> list[str]:
    found = _texts(grader, where, "input", "reference")
    if grader.get("operation") not in _OPERATIONS:
        found.append(f"{where}.operation must be one of {', '.join(_OPERATIONS)}")
    return found


def _text_similarity(grader: Mapping[str, Any], where: str, _depth: int) -> list[str]:
    found = _texts(grader, where, "input", "reference")
    if grader.get("evaluation_metric") not in _METRICS:
        found.append(f"{where}.evaluation_metric must be one of {', '.join(_METRICS)}")
    return found


def _python(grader: Mapping[str, Any], where: str, _depth: int) -> list[str]:
    source = grader.get("source")
    if not isinstance(source, str) or not source:
        return [f"{where}.source must be Python that defines grade(sample, item)"]
    if len(source) > LONGEST_SOURCE:
        return [f"{where}.source has {len(source):,} characters; the most is {LONGEST_SOURCE:,}"]
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except SyntaxError as error:
        return [f"{where}.source is no Python: line {error.lineno}: {error.msg}"]
    except (ValueError, RecursionError, MemoryError):
        return [f"{where}.source is no Python"]
    if any(isinstance(one, ast.FunctionDef) and one.name == "grade" for one in tree.body):
        return []
    return [f"{where}.source must define grade(sample, item)"]


def _score_model(grader: Mapping[str, Any], where: str, _depth: int) -> list[str]:
    found = _texts(grader, where, "model") + _messages(grader, where)
    scale = grader.get("range")
    if scale is not None:
        is_scale = isinstance(scale, list | tuple) and len(scale) == 2 and all(_is_number(one) for one in scale)
        if not is_scale or not scale[0] < scale[1]:
            found.append(f"{where}.range must be two numbers, the lower one first")
    if not isinstance(grader.get("sampling_params", {}), Mapping | None):
        found.append(f"{where}.sampling_params must be an object")
    return found


def _label_model(grader: Mapping[str, Any], where: str, _depth: int) -> list[str]:
    found = _texts(grader, where, "model") + _messages(grader, where)
    labels, passing = grader.get("labels"), grader.get("passing_labels")
    for name, value in (("labels", labels), ("passing_labels", passing)):
        if not isinstance(value, list) or not value or not all(_is_text(one) for one in value):
            found.append(f"{where}.{name} must be a list of texts")
    if isinstance(labels, list) and isinstance(passing, list) and any(one not in labels for one in passing):
        found.append(f"{where}.passing_labels must be among {where}.labels")
    return found


def _multi(grader: Mapping[str, Any], where: str, depth: int) -> list[str]:
    found = _texts(grader, where, "calculate_output")
    inside = grader.get("graders")
    if not isinstance(inside, Mapping) or not inside or len(inside) > MOST_INSIDE:
        return [*found, f"{where}.graders must hold 1 to {MOST_INSIDE} graders, each under a name"]
    if depth >= DEEPEST:
        return [*found, f"{where}.graders is nested too deeply"]
    if isinstance(inside.get("type"), str):  # a single one, as the API description has it
        return found + problems(inside, f"{where}.graders", depth + 1)
    for name, one in inside.items():
        found += problems(one, f"{where}.graders.{str(name)[:40]}", depth + 1)
    return found


_KINDS: Mapping[str, Callable[[Mapping[str, Any], str, int], list[str]]] = {
    "string_check": _string_check,
    "text_similarity": _text_similarity,
    "python": _python,
    "score_model": _score_model,
    "label_model": _label_model,
    "multi": _multi,
}


def _texts(grader: Mapping[str, Any], where: str, *names: str) -> list[str]:
    return [f"{where}.{name} must be a text" for name in names if not _is_text(grader.get(name))]


def _messages(grader: Mapping[str, Any], where: str) -> list[str]:
    messages = grader.get("input")
    if not isinstance(messages, list) or not messages:
        return [f"{where}.input must be a list of messages"]
    found = []
    for position, one in enumerate(messages):
        place = f"{where}.input[{position}]"
        if not isinstance(one, Mapping) or one.get("role") not in _ROLES:
            found.append(f"{place} must be a message with one of the roles {', '.join(_ROLES)}")
        elif not one.get("content") or not isinstance(one["content"], str | list | Mapping):
            found.append(f"{place}.content must be a text or parts")
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
