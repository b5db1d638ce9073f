"""A TrainingRequest as the body of the create call; everything that is wrong with it is said at once."""

import math
import re
from collections.abc import Mapping
from typing import Any

from providers._openai_api import graders
from providers._openai_api.jobs import KEY
from providers.base import AUTO, Capabilities, Hyperparameter, Knob, Method, TrainingRequest
from providers.errors import InvalidRequest

TYPES: Mapping[Method, str] = {Method.SFT: "supervised", Method.DPO: "dpo", Method.RFT: "reinforcement"}
"""The vendors' words for the methods."""
HIGHEST_SEED = 2**31 - 1
MOST_INTEGRATIONS = 5
MOST_METADATA, LONGEST_NAME, LONGEST_VALUE = 16, 64, 512
"""Pairs of metadata, ours among them, and the characters of each part."""

_WIRE_NAMES = {"epochs": "n_epochs"}
_WANDB = frozenset({"project", "name", "entity", "tags"})


def body(
    request: TrainingRequest, capabilities: Capabilities, vendor: str, *, keep_auto: bool = True
) -> dict[str, Any]:
    """The create call's body but for the files, with metadata that hold the key. Raises InvalidRequest.

    Where the vendor has no "auto" (`keep_auto` False) such values are left out. `options` other than grader,
    response_format, integrations and metadata are for the caller.
    """
    found = problems(request, capabilities, vendor)
    if found:
        raise InvalidRequest(f"{vendor} cannot train this: {'; '.join(found)}.")
    kind, options = TYPES[request.method], request.options
    method: dict[str, Any] = {"hyperparameters": _hyperparameters(request, keep_auto=keep_auto)}
    method |= {name: options[name] for name in ("grader", "response_format") if options.get(name)}
    made: dict[str, Any] = {
        "model": request.base_model,
        "method": {"type": kind, kind: method},
        "seed": request.seed,
        "metadata": {**(options.get("metadata") or {}), KEY: request.key},
    }
    if request.suffix:
        made["suffix"] = request.suffix
    if options.get("integrations"):
        made["integrations"] = options["integrations"]
    return made


def problems(request: TrainingRequest, capabilities: Capabilities, vendor: str) -> list[str]:
    """What is wrong with the request; empty for nothing."""
    found = []
    if request.method not in capabilities.methods or request.method not in TYPES:
        return [f"it does not know the method {request.method}"]
    if not request.base_model:
        found.append("no base model is named")
    if not 0 < len(request.key) <= LONGEST_VALUE:
        found.append(f"the run's key must have 1 to {LONGEST_VALUE} characters")
    if len(request.suffix) > capabilities.longest_suffix or not request.suffix.isprintable():
        found.append(f"the name of the model must have at most {capabilities.longest_suffix} printable characters")
    if not 0 <= request.seed <= HIGHEST_SEED:
        found.append(f"the seed must be 0 to {HIGHEST_SEED}")
    if request.resume_from is not None:
        found.append("it cannot go on from a checkpoint of another provider")
    found += [
        f"the {what} file is not there any more: attach the dataset again"
        for what, path in (("training", request.train_path), ("validation", request.validation_path))
        if path is not None and not path.is_file()
    ]
    found += _knob_problems(request, capabilities, vendor)
    return found + _option_problems(request, capabilities, vendor)


def _knob_problems(request: TrainingRequest, capabilities: Capabilities, vendor: str) -> list[str]:
    knobs = {one.name: one for one in capabilities.knobs if not one.methods or request.method in one.methods}
    found = []
    for name, value in request.hyperparameters.items():
        if name not in knobs:
            found.append(f"{vendor} has no hyperparameter {name} for the method {request.method}")
        elif not _fits(value, knobs[name]):
            found.append(f"{knobs[name].text} {_allowed(knobs[name])}")
    return found


def _fits(value: Hyperparameter, knob: Knob) -> bool:
    if value == AUTO and knob.can_auto:
        return True
    if knob.choices:
        return value in knob.choices
    if isinstance(value, bool | str) or not math.isfinite(value):
        return False
    if knob.whole and value != int(value):
        return False
    return knob.low <= value <= knob.high


def _allowed(knob: Knob) -> str:
    if knob.choices:
        return f"must be one of {', '.join(knob.choices)}"
    kind, auto = ("a whole number" if knob.whole else "a number"), (f" or {AUTO}" if knob.can_auto else "")
    return f"must be {kind} from {knob.low:g} to {knob.high:g}{auto}"


def _hyperparameters(request: TrainingRequest, *, keep_auto: bool) -> dict[str, Hyperparameter]:
    sent: dict[str, Hyperparameter] = {}
    for name, value in request.hyperparameters.items():
        if value != AUTO or keep_auto:
            is_whole = isinstance(value, float) and value == int(value)
            sent[_WIRE_NAMES.get(name, name)] = int(value) if is_whole else value
    return sent


def _option_problems(request: TrainingRequest, capabilities: Capabilities, vendor: str) -> list[str]:
    options = request.options
    found = [f"{vendor} has no option {str(name)[:40]}" for name in options if name not in capabilities.options]
    if request.method is Method.RFT:
        found += graders.problems(options.get("grader"))
        response_format = options.get("response_format")
        if response_format is not None and not _is_response_format(response_format):
            found.append("response_format must be {type: json_schema, json_schema: {name, schema}}")
    else:
        found += [f"{name} is for rft only" for name in ("grader", "response_format") if options.get(name)]
    return found + _integration_problems(options.get("integrations")) + _metadata_problems(options.get("metadata"))


def _is_response_format(value: object) -> bool:
    if not isinstance(value, Mapping) or value.get("type") != "json_schema":
        return False
    schema = value.get("json_schema")
    if not isinstance(schema, Mapping) or not isinstance(schema.get("schema"), Mapping):
        return False
    return isinstance(schema.get("name"), str) and re.fullmatch(r"[\w-]{1,64}", schema["name"], re.ASCII) is not None


def _integration_problems(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MOST_INTEGRATIONS:
        return [f"integrations must be a list of at most {MOST_INTEGRATIONS}"]
    found = []
    for position, one in enumerate(value):
        wandb = one.get("wandb") if isinstance(one, Mapping) and one.get("type") == "wandb" else None
        place = f"integrations[{position}]"
        if not isinstance(wandb, Mapping) or not isinstance(wandb.get("project"), str) or not wandb["project"]:
            found.append(f"{place} must be {{type: wandb, wandb: {{project: NAME}}}}")
            continue
        found += [f"{place}.wandb has no {str(name)[:40]}" for name in wandb if name not in _WANDB]
        found += [
            f"{place}.wandb.{name} must be a text"
            for name in ("name", "entity")
            if not isinstance(wandb.get(name), str | None)
        ]
        tags = wandb.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            found.append(f"{place}.wandb.tags must be a list of texts")
    return found


def _metadata_problems(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, Mapping):
        return ["metadata must be names and texts"]
    found = []
    if len(value) > MOST_METADATA - 1:
        found.append(f"metadata may have {MOST_METADATA - 1} pairs (one more is ours)")
    for name, one in value.items():
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or name == KEY:
            found.append(f"metadata may not have the name {str(name)[:80]}")
        elif not isinstance(one, str) or len(one) > LONGEST_VALUE:
            found.append(f"metadata.{name} must be a text of at most {LONGEST_VALUE} characters")
    return found
