"""AutoTrain's YAML files, read as plans: what they ask for is taken over where there is the same thing here.

Everything else is named: a note where it only tunes the training, a problem where leaving it out would do something
else than the file says.
"""

from collections.abc import Mapping
from typing import Any

from providers import prices
from workers.plans.choices import EARLIER_KNOBS, MOST_NAME_CHARACTERS
from workers.plans.job_fields import Named, knobs_of, seed_of
from workers.plans.job_file import HELD_OUT, MOST_MODEL_CHARACTERS, NOTHING, JobFilePlan
from workers.plans.offered import LOCAL_TEXTS

KNOBS = {"epochs": "epochs", "batch_size": "batch_size", "lr": "learning_rate", "lora_r": "lora_r"}
"""AutoTrain's name to ours."""
TRAINERS = {"sft": "sft", "default": "sft", "generic": "sft", "dpo": "dpo", "orpo": "orpo"}
HARMLESS = frozenset({"trainer", "peft", "mixed_precision", "seed", "padding", "logging_steps", "chat_template"})
"""Settings that are as they are here anyway, or that are taken over elsewhere."""
TOP = frozenset({"task", "base_model", "project_name", "log", "backend", "data", "params", "hub"})
DATA = frozenset({"path", "train_split", "valid_split", "chat_template", "column_mapping"})
LOGS = frozenset({"none", "tensorboard"})


def is_one(data: Mapping[str, Any]) -> bool:
    """Whether this looks like an AutoTrain file."""
    return "task" in data and ("project_name" in data or "params" in data)


def read(data: Mapping[str, Any]) -> JobFilePlan:
    """The plan that the file amounts to."""
    problems: list[str] = []
    notes: list[str] = []
    params = _part(data, "params", problems)
    source = _part(data, "data", problems)
    method = _method(str(data.get("task")), str(params.get("trainer") or "sft"), problems)
    backend = str(data.get("backend") or "local")
    if not backend.startswith("local"):
        problems.append(f"“backend: {backend[:60]}” would train elsewhere at somebody's cost. Write “backend: local”.")
    if str(data.get("log") or "none") not in LOGS:
        notes.append(f"“log: {str(data['log'])[:60]}” is not used: the figures are shown on the run's card.")
    if _part(data, "hub", problems).get("push_to_hub"):
        notes.append("“hub.push_to_hub” is not done: the model stays here.")
    if str(params.get("quantization") or "none") not in {"none", "None"}:
        notes.append(
            f"“quantization: {str(params['quantization'])[:20]}” is left out: the adapter is trained unquantised."
        )
    notes += [f"“{str(name)[:60]}” is not taken over." for name in data if name not in TOP]
    notes += [f"“data.{str(name)[:60]}” is not taken over." for name in source if name not in DATA]
    if source.get("chat_template") not in {None, "", "none", "tokenizer"}:
        notes.append(
            "“data.chat_template” is not used: conversations are written as the base model's own template does."
        )
    notes += [
        f"“params.{str(name)[:60]}” is not taken over."
        for name in params
        if name not in KNOBS and name not in HARMLESS and name != "quantization"
    ]
    if source.get("column_mapping"):
        notes.append("The columns are those of the dataset's own report; look at its preview before you start.")
    knobs = knobs_of({KNOBS[name]: params[name] for name in KNOBS if name in params}, "local", method, problems)
    assert set(knobs) <= set(EARLIER_KNOBS)
    path = _text(source, "path", problems)
    named, base_model = _text(data, "project_name", problems), _text(data, "base_model", problems)
    if len(named) > MOST_NAME_CHARACTERS:
        notes.append(f"“project_name” is cut to {MOST_NAME_CHARACTERS} characters.")
    ours = prices.short_name(base_model).lower()
    if ours in LOCAL_TEXTS and base_model != ours:
        notes.append(f"“{base_model[:60]}” is here as {ours}.")
        base_model = ours
    return JobFilePlan(
        name=named[:MOST_NAME_CHARACTERS],
        provider="local",
        base_model=base_model,
        method=method,
        seed=seed_of(params, "seed", problems, "params."),
        dataset=Named(name=path.rstrip("/").rsplit("/", 1)[-1]),
        watch=HELD_OUT if source.get("valid_split") else NOTHING,
        knobs=knobs,
        notes=("Read as an AutoTrain file.", *notes),
        problems=tuple(problems),
    )


def _text(data: Mapping[str, Any], key: str, problems: list[str]) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= MOST_MODEL_CHARACTERS and value.isprintable():
        return value.strip()
    problems.append(
        f"“{key}” must be a text of one line, at most {MOST_MODEL_CHARACTERS} characters; put it in quotes."
    )
    return ""


def _method(task: str, trainer: str, problems: list[str]) -> str:
    """Of "llm-sft", "llm:dpo", or "llm" with a trainer."""
    kind, _, named = task.replace(":", "-").partition("-")
    method = TRAINERS.get(named or trainer)
    if kind != "llm" or method is None:
        problems.append(f"“task: {task[:60]}” is not done here. There are: llm-sft, llm-dpo, llm-orpo.")
        return "sft"
    return method


def _part(data: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    value = data.get(key) or {}
    if isinstance(value, dict):
        return value
    problems.append(f"“{key}” must have names with values below it.")
    return {}
