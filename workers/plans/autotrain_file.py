"""AutoTrain's YAML files, read as plans: for this machine's own trainer, and for AutoTrain itself on this machine.

What they ask for is taken over where there is the same thing here. Everything else is named: a note where it only tunes
the training, a problem where leaving it out would do something else than the file says. AutoTrain never sees the file:
it is given one of our own making (`providers.autotrain.job`).
"""

from collections.abc import Mapping
from typing import Any

from providers import prices
from providers.base import Hyperparameter, Method
from providers.capabilities import CAPABILITIES
from workers.plans.choices import EARLIER_KNOBS, MOST_NAME_CHARACTERS, Choices
from workers.plans.job_fields import Named, knobs_of, seed_of, short
from workers.plans.job_file import HELD_OUT, MOST_MODEL_CHARACTERS, NOTHING, Elsewhere, JobFilePlan
from workers.plans.offered import LOCAL_TEXTS

KNOBS = {
    "epochs": "epochs",
    "batch_size": "batch_size",
    "lr": "learning_rate",
    "lora_r": "lora_r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "target_modules": "target_modules",
    "quantization": "quantization",
    "gradient_accumulation": "gradient_accumulation",
    "block_size": "max_length",
    "warmup_ratio": "warmup_ratio",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "mixed_precision": "precision",
    "optimizer": "optimizer",
    "scheduler": "scheduler",
    "dpo_beta": "beta",
}
"""AutoTrain's name to ours."""
VALUES: Mapping[str, Mapping[Any, Hyperparameter | None]] = {
    "quantization": {"int4": "nf4", None: None, "none": None, "None": None},
    "mixed_precision": {None: None, "none": None, "None": None},
    "block_size": {-1: None, None: None},
}
"""Its word for a value to ours; None: as the trainer does by itself."""
TRAINERS = {"sft": "sft", "default": "sft", "generic": "sft", "dpo": "dpo", "orpo": "orpo"}
HARMLESS = frozenset({"trainer", "seed", "padding", "logging_steps", "model_max_length"})
"""Settings that are as they are here anyway, or that are taken over elsewhere."""
USUAL: Mapping[str, Any] = {
    "peft": True,
    "merge_adapter": False,
    "push_to_hub": False,
    "unsloth": False,
    "use_flash_attention_2": False,
    "auto_find_batch_size": False,
    "disable_gradient_checkpointing": False,
    "distributed_backend": None,
    "chat_template": "tokenizer",
}
"""Settings that have one value here; another one is named."""
TOP = frozenset({"task", "base_model", "project_name", "log", "backend", "data", "params", "hub"})
DATA = frozenset({"path", "train_split", "valid_split", "chat_template", "column_mapping"})
LOGS = frozenset({"none", "tensorboard"})
OURS, THEIRS = "local", "autotrain"


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
    notes += [f"“{str(name)[:60]}” is not taken over." for name in data if name not in TOP]
    notes += [f"“data.{str(name)[:60]}” is not taken over." for name in source if name not in DATA]
    if source.get("chat_template") not in {None, "", "none", "tokenizer"}:
        notes.append(
            "“data.chat_template” is not used: conversations are written as the base model's own template does."
        )
    if source.get("column_mapping"):
        notes.append("The columns are those of the dataset's own report; look at its preview before you start.")
    path = _text(source, "path", problems)
    named, base_model = _text(data, "project_name", problems), _text(data, "base_model", problems)
    for place, words in (("data.path", path), ("base_model", base_model)):
        if "://" in words:
            problems.append(
                f"“{place}” is an address, and nothing is fetched from one. Attach the file, or name a model."
            )
    if len(named) > MOST_NAME_CHARACTERS:
        notes.append(f"“project_name” is cut to {MOST_NAME_CHARACTERS} characters.")
    ours = prices.short_name(base_model).lower()
    if ours in LOCAL_TEXTS and base_model != ours:
        notes.append(f"“{base_model[:60]}” is here as {ours}.")
        base_model = ours
    head = ("Read as an AutoTrain file.", *notes)
    knobs, lost = _knobs(params, OURS, method, problems)
    theirs: list[str] = []
    with_autotrain = {}
    if method in CAPABILITIES[THEIRS].methods:
        their_knobs, their_lost = _knobs(params, THEIRS, method, theirs)
        with_autotrain = {THEIRS: Elsewhere(their_knobs, (*head, *their_lost))}
    return JobFilePlan(
        name=named[:MOST_NAME_CHARACTERS],
        provider=OURS,
        base_model=base_model,
        method=method,
        seed=seed_of(params, "seed", problems, "params."),
        dataset=Named(name=path.rstrip("/").rsplit("/", 1)[-1]),
        watch=HELD_OUT if source.get("valid_split") else NOTHING,
        knobs=knobs,
        elsewhere=with_autotrain,
        notes=(*head, *lost),
        problems=tuple(dict.fromkeys([*problems, *theirs])),
    )


def _knobs(
    params: Mapping[str, Any], provider: str, method: str, problems: list[str]
) -> tuple[dict[str, Hyperparameter], list[str]]:
    """What of the parameters this provider takes over, and notes on what it does not.

    What is wrong with those that every file has goes into `problems`.
    """
    usual = {KNOBS[name]: params[name] for name in KNOBS if name in params and KNOBS[name] in EARLIER_KNOBS}
    knobs = knobs_of(usual, provider, method, problems)
    notes = []
    for name, value in params.items():
        knob = KNOBS.get(name)
        if name in HARMLESS or knob in EARLIER_KNOBS or (name in USUAL and (value is None or value == USUAL[name])):
            continue
        if knob is None:
            notes.append(f"“params.{short(name)}” is not taken over.")
            continue
        table = VALUES.get(name, {})
        ours = table[value] if _can_be_key(value) and value in table else value
        if ours is None:
            continue
        unfit: list[str] = []
        read = knobs_of({knob: ours}, provider, method, unfit)
        if not unfit:
            knobs |= read
        elif any(one.name == knob for one in _usable(provider, method)):
            notes.append(f"“params.{short(name)}: {short(value)}” is not taken over: there is no such value here.")
        else:
            notes.append(f"“params.{short(name)}: {short(value)}” is not taken over.")
    return knobs, notes


def _usable(provider: str, method: str) -> tuple[Any, ...]:
    return Choices(dataset_id=0, provider=provider, method=Method(method)).usable_knobs


def _can_be_key(value: Any) -> bool:
    return value is None or isinstance(value, str | int)


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
