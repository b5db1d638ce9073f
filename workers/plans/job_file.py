"""A plan as a YAML file: written from any run, read back into the same choices.

    finetune: 1
    name: recipes-v1
    dataset: {name: recipes.jsonl, sha256: 9f86d081…}
    test: held-out                   # or cross-check, nothing, or a dataset like the one above
    validation: nothing              # or held-out, or a dataset
    provider: openai
    base_model: gpt-4.1-mini-2025-04-14
    method: sft
    preset: trl-tutorial             # only at provider local; what stands in hyperparameters goes before it
    hyperparameters: {epochs: 3, batch_size: auto}
    openai: {integrations: …}        # what only that vendor knows; sections of other vendors are left alone

Whatever is wrong is collected: `problems` stop the file from being used, `notes` only say what was not taken over.
AutoTrain's own files are read by `workers.plans.autotrain_file`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import yaml

from providers.base import Hyperparameter, Method
from workers.plans import job_yaml, presets
from workers.plans.choices import MOST_NAME_CHARACTERS, Choices, TestOn
from workers.plans.job_fields import (
    PROVIDERS,
    Named,
    dataset_of,
    dataset_or_word,
    knobs_of,
    mapping_of,
    options_of,
    seed_of,
    short,
    text_of,
)
from workers.plans.job_yaml import NoJobFile
from workers.tables import Dataset, Run

MARK = "finetune"
VERSION = 1
MOST_LOOKED_AT = 4096
"""Bytes in which a file that cannot be read is looked at for a key that only job files have."""
_OURS = re.compile(rf"^(?:{MARK}\s*:|task\s*:\s*[\"']?llm)".encode(), re.MULTILINE)
MOST_GOAL_CHARACTERS = 300
MOST_MODEL_CHARACTERS = 199
HELD_OUT, NOTHING = "held-out", "nothing"
WORDS = (
    "name", "goal", "provider", "base_model", "method", "seed", "dataset", "test", "validation", "preset",
    "hyperparameters",
)  # fmt: skip
_HEAD = (
    "# A job file of Finetune Bot. Attach it to a message, ideally together with its dataset, and press\n"
    "# “Start from this file”. Values may be changed; the form shows the plan and its cost before anything starts.\n"
)


@dataclass(frozen=True)
class Elsewhere:
    """What the same file asks for where another provider carries it out: its settings, and what is not taken over."""

    knobs: Mapping[str, Hyperparameter] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobFilePlan:
    """What a job file asks for; empty is what it leaves open.

    `test` and `validation` are datasets, or words: `test_on`, and `watch` ("nothing", "held-out").
    """

    name: str = ""
    goal: str = ""
    provider: str = ""
    base_model: str = ""
    method: str = ""
    seed: int = 42
    dataset: Named = field(default_factory=Named)
    test: Named | None = None
    test_on: str = ""
    validation: Named | None = None
    watch: str = ""
    knobs: Mapping[str, Hyperparameter] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    """Other providers, by name, that the file can as well be carried out by."""

    def at(self, provider: str) -> "JobFilePlan":
        """The plan for this provider, where the file has one for it."""
        there = self.elsewhere.get(provider)
        return replace(self, provider=provider, knobs=there.knobs, notes=there.notes) if there is not None else self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "JobFilePlan":
        """The reverse of `to_json`."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        for key in ("dataset", "test", "validation"):
            if known.get(key) is not None:
                known[key] = Named(**known[key])
        others = known.get("elsewhere") or {}
        known["elsewhere"] = {
            name: Elsewhere(one.get("knobs") or {}, tuple(one.get("notes") or ())) for name, one in others.items()
        }
        return cls(**{**known, "notes": tuple(data.get("notes") or ()), "problems": tuple(data.get("problems") or ())})

    def choices(
        self, dataset_id: int, *, test_id: int | None, validation_id: int | None, method: str = "sft"
    ) -> Choices:
        """The choices for these datasets, as the start form takes them; `method`: where the file names none."""
        return Choices(
            dataset_id=dataset_id,
            test_dataset_id=test_id,
            validation_dataset_id=validation_id,
            name=self.name,
            goal=self.goal,
            provider=self.provider,
            base_model=self.base_model,
            method=Method(self.method or method),
            knobs=dict(self.knobs),
            options=dict(self.options),
            seed=self.seed,
            test_on=TestOn(self.test_on or TestOn.HELD_OUT),
            hold_out_validation=self.watch == HELD_OUT,
        )


def write(run: Run, datasets: Mapping[int, Dataset]) -> str:
    """The run's plan as a job file; `datasets` has those that it names, by id."""
    choices = Choices.from_json(run.plan)
    plan: dict[str, Any] = {MARK: VERSION, "name": run.name}
    if choices.goal:
        plan["goal"] = choices.goal
    plan["dataset"] = _named(datasets[run.dataset_id])
    test, validation = run.test_dataset_id, run.validation_dataset_id
    plan["test"] = _named(datasets[test]) if test else str(choices.test_on)
    held_out = HELD_OUT if choices.hold_out_validation else NOTHING
    plan["validation"] = _named(datasets[validation]) if validation else held_out
    plan |= {"provider": run.provider, "base_model": run.base_model, "method": str(run.method), "seed": choices.seed}
    plan["hyperparameters"] = choices.hyperparameters
    if choices.options:
        plan[run.provider] = dict(choices.options)
    return _HEAD + yaml.safe_dump(plan, sort_keys=False, allow_unicode=True, width=100)


def _named(row: Dataset) -> dict[str, Any]:
    return {"name": row.name, "version": row.version, "sha256": row.sha256}


def read(text: bytes) -> JobFilePlan:
    """What the file asks for: ours, or AutoTrain's. Raises NoJobFile."""
    from workers.plans import autotrain_file

    try:
        data = job_yaml.load(text)
        if not autotrain_file.is_one(data) and MARK not in data:
            raise NoJobFile(
                "This YAML is no job file: it has neither “finetune: 1” nor AutoTrain's “task:”. The button “Job file” "
                "on a run's card gives one to begin with."
            )
        plan = autotrain_file.read(data) if autotrain_file.is_one(data) else _read(data)
        json.dumps(plan.to_json(), allow_nan=False, ensure_ascii=False).encode()
    except NoJobFile as error:
        error.looks_like_one = bool(_OURS.search(text[:MOST_LOOKED_AT]))
        raise
    except ValueError as error:
        raise NoJobFile("This file has numbers or texts that cannot be kept. Write them anew.") from error
    return plan


def _preset(name: str, provider: str, method: str, problems: list[str]) -> Mapping[str, Hyperparameter]:
    """The hyperparameters of a preset; none where the file names none."""
    there = presets.offered(provider, Method(method) if method in set(Method) else Method.SFT)
    if name and name not in there:
        listed = f"There are: {', '.join(there)}." if there else "Only provider local has presets."
        problems.append(f"There is no preset “{name[:60]}” for this. {listed}")
    return presets.PRESETS[name].knobs if name in there else {}


def _read(data: Mapping[str, Any]) -> JobFilePlan:
    problems: list[str] = []
    if isinstance(data[MARK], bool) or data[MARK] != VERSION:
        problems.append(
            f"“finetune: {short(data[MARK])}” is a version that is not known here. Write “finetune: {VERSION}”."
        )
    provider = text_of(data, "provider", problems) or "local"
    if provider not in PROVIDERS:
        problems.append(f"There is no provider “{provider[:60]}”. Choose one of: {', '.join(sorted(PROVIDERS))}.")
    method = text_of(data, "method", problems)
    if method and method not in set(Method):
        problems.append(f"There is no method “{method[:60]}”. Choose one of: {', '.join(Method)}.")
    notes = [
        f"The section “{key}” is for another provider and is left alone."
        for key in data
        if key in PROVIDERS and key != provider
    ]
    problems += [
        f"“{short(key)}” is nothing that a job file has. It has: {', '.join(WORDS)}, and a section for the provider."
        for key in data
        if key not in {MARK, *WORDS, *PROVIDERS}
    ]
    test, test_on = dataset_or_word(data, "test", [str(one) for one in TestOn], problems)
    validation, watch = dataset_or_word(data, "validation", [NOTHING, HELD_OUT], problems)
    return JobFilePlan(
        name=text_of(data, "name", problems, MOST_NAME_CHARACTERS),
        goal=text_of(data, "goal", problems, MOST_GOAL_CHARACTERS),
        provider=provider,
        base_model=text_of(data, "base_model", problems, MOST_MODEL_CHARACTERS),
        method=method,
        seed=seed_of(data, "seed", problems),
        dataset=dataset_of(data.get("dataset"), "dataset", problems) or Named(),
        test=test,
        test_on=test_on,
        validation=validation,
        watch=watch,
        knobs={
            **_preset(text_of(data, "preset", problems), provider, method, problems),
            **knobs_of(mapping_of(data, "hyperparameters", problems), provider, method, problems),
        },
        options=options_of(mapping_of(data, provider, problems), provider, problems),
        notes=tuple(notes),
        problems=tuple(problems),
    )
