"""A plan as a YAML file: written from any run, read back into the same choices.

    finetune: 1
    name: recipes-v1
    dataset: {name: recipes.jsonl, sha256: 9f86d081…}
    test: held-out                   # or cross-check, nothing, or a dataset like the one above
    validation: nothing              # or held-out, or a dataset
    provider: openai
    base_model: gpt-4.1-mini-2025-04-14
    method: sft
    hyperparameters: {epochs: 3, batch_size: auto}
    openai: {integrations: …}        # what only that vendor knows; sections of other vendors are left alone

Whatever is wrong is collected: `problems` stop the file from being used, `notes` only say what was not taken over.
AutoTrain's own files are read by `workers.runs.autotrain_file`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from providers.base import Hyperparameter, Method
from providers.capabilities import CAPABILITIES
from workers.errors import UserError
from workers.runs.choices import Choices, TestOn
from workers.tables import Dataset, Run

MARK = "finetune"
VERSION = 1
MOST_BYTES = 64_000
MOST_DEPTH = 20
WORDS = ("name", "goal", "provider", "base_model", "method", "seed", "dataset", "test", "validation", "hyperparameters")
_HEAD = (
    "# A job file of Finetune Bot. Attach it to a message, ideally together with its dataset, and press\n"
    "# “Start from this file”. Values may be changed; the form shows the plan and its cost before anything starts.\n"
)


class NoJobFile(UserError):
    """The file is no job file; the message says what is wrong, where, and what one looks like."""

    looks_like_one = False
    """Whether it seems to be meant as one all the same, so that somebody waits for an answer."""


@dataclass(frozen=True)
class Named:
    """A dataset as a file names it; the hash tells exactly, the name and version only nearly."""

    name: str = ""
    version: int | None = None
    sha256: str = ""


@dataclass(frozen=True)
class JobFilePlan:
    """What a job file asks for. `test` and `validation` are datasets, or words (`test_on`, `hold_out_validation`)."""

    name: str = ""
    goal: str = ""
    provider: str = ""
    base_model: str = ""
    method: str = ""
    seed: int = 42
    dataset: Named = Named()
    test: Named | None = None
    test_on: str = str(TestOn.HELD_OUT)
    validation: Named | None = None
    hold_out_validation: bool = False
    knobs: Mapping[str, Hyperparameter] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

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
        return cls(**{**known, "notes": tuple(data.get("notes") or ()), "problems": tuple(data.get("problems") or ())})

    def choices(self, dataset_id: int, *, test_id: int | None, validation_id: int | None) -> Choices:
        """The choices for these datasets, as the start form takes them."""
        return Choices(
            dataset_id=dataset_id,
            test_dataset_id=test_id,
            validation_dataset_id=validation_id,
            name=self.name,
            goal=self.goal,
            provider=self.provider,
            base_model=self.base_model,
            method=Method(self.method),
            knobs=dict(self.knobs),
            options=dict(self.options),
            seed=self.seed,
            test_on=TestOn(self.test_on),
            hold_out_validation=self.hold_out_validation,
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
    held_out = "held-out" if choices.hold_out_validation else "nothing"
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
    from workers.runs import autotrain_file

    try:
        data = load(text)
    except NoJobFile as error:
        error.looks_like_one = text.lstrip().startswith((f"{MARK}:".encode(), b"task:"))
        raise
    if autotrain_file.is_one(data):
        return autotrain_file.read(data)
    if MARK not in data:
        raise NoJobFile(
            "This YAML is no job file: it has neither “finetune: 1” nor AutoTrain's “task:”. The button “Job file” on "
            "a run's card gives one to begin with."
        )
    return _read(data)


def load(text: bytes) -> dict[str, Any]:
    """The YAML mapping, read strictly: no anchors, tags or keys that stand twice. Raises NoJobFile."""
    if len(text) > MOST_BYTES:
        raise NoJobFile(f"This file has {len(text):,} bytes; a job file has at most {MOST_BYTES:,}.")
    try:
        data = yaml.load(text.decode("utf-8-sig"), Loader=_Strict)  # noqa: S506 -- a SafeLoader that refuses more
    except UnicodeDecodeError as error:
        raise NoJobFile("This file is not UTF-8 text. Save it as UTF-8 and attach it again.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise NoJobFile(f"This YAML cannot be read. {where}{(error.problem or 'it is broken')[:200]}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NoJobFile(f"This YAML cannot be read: {str(error)[:200]}") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise NoJobFile("This YAML is no job file: at its top must be names with values, such as “finetune: 1”.")
    return data


class _Strict(yaml.SafeLoader):
    """What one reader might see otherwise than another is refused, and so is what explodes."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        mark = self.get_mark()
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="anchors (&name, *name) are not allowed", problem_mark=mark)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise yaml.MarkedYAMLError(problem="it is nested too deep", problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 -- yaml's own signature
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"“{key.value}” stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(data: Mapping[str, Any]) -> JobFilePlan:
    problems: list[str] = []
    notes: list[str] = []
    if data[MARK] != VERSION:
        problems.append(
            f"“finetune: {_short(data[MARK])}” is a version that is not known here. Write “finetune: {VERSION}”."
        )
    provider = _word(data, "provider", "local", problems)
    if provider not in CAPABILITIES:
        problems.append(f"There is no provider “{provider[:60]}”. Choose one of: {', '.join(sorted(CAPABILITIES))}.")
    method = _word(data, "method", "sft", problems)
    if method not in set(Method):
        problems.append(f"There is no method “{method[:60]}”. Choose one of: {', '.join(Method)}.")
    notes += [
        f"The section “{key}” is for another provider and is left alone."
        for key in data
        if key in CAPABILITIES and key != provider
    ]
    problems += [
        f"“{_short(key)}” is nothing that a job file has. It has: {', '.join(WORDS)}, and a section for the provider."
        for key in data
        if key not in {MARK, *WORDS, *CAPABILITIES}
    ]
    test, test_on = _dataset_or_word(data, "test", [str(one) for one in TestOn], str(TestOn.HELD_OUT), problems)
    validation, watched = _dataset_or_word(data, "validation", ["nothing", "held-out"], "nothing", problems)
    seed = data.get("seed", 42)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        problems.append("“seed” must be a whole number from 0 to 2147483647.")
        seed = 42
    return JobFilePlan(
        name=_word(data, "name", "", problems),
        goal=_word(data, "goal", "", problems)[:300],
        provider=provider,
        base_model=_word(data, "base_model", "", problems),
        method=method,
        seed=seed,
        dataset=_dataset(data.get("dataset"), "dataset", problems) or Named(),
        test=test,
        test_on=test_on,
        validation=validation,
        hold_out_validation=watched == "held-out",
        knobs=knobs_of(_mapping(data, "hyperparameters", problems), provider, method, problems),
        options=_options(_mapping(data, provider, problems) if provider in CAPABILITIES else {}, provider, problems),
        notes=tuple(notes),
        problems=tuple(problems),
    )


def knobs_of(given: Mapping[str, Any], provider: str, method: str, problems: list[str]) -> dict[str, Hyperparameter]:
    """The hyperparameters, checked as the form checks them."""
    values: dict[str, Hyperparameter] = {name: _number_if_one(value) for name, value in given.items()}
    if provider in CAPABILITIES and method in set(Method):
        found = Choices(dataset_id=0, provider=provider, method=Method(method), knobs=values).knob_problems()
        problems += [f"hyperparameters, “{_short(name)}”: {words}" for name, words in found.items()]
    return values


def _number_if_one(value: Any) -> Any:
    """YAML takes 5e-4 for a word, as it has no dot."""
    if not isinstance(value, str):
        return value if isinstance(value, int | float) else str(value)
    try:
        return float(value)
    except ValueError:
        return value


def _options(given: Mapping[str, Any], provider: str, problems: list[str]) -> dict[str, Any]:
    known = CAPABILITIES[provider].options if provider in CAPABILITIES else frozenset()
    problems += [
        f"{provider}, “{_short(name)}”: no such option. There are: {', '.join(sorted(known)) or 'none'}."
        for name in given
        if name not in known
    ]
    return {name: value for name, value in given.items() if name in known}


def _word(data: Mapping[str, Any], key: str, otherwise: str, problems: list[str]) -> str:
    value = data.get(key, otherwise)
    if value is None:
        return otherwise
    if isinstance(value, bool | list | dict):
        problems.append(f"“{key}” must be a text.")
        return otherwise
    return str(value).replace("\x00", "").strip()


def _mapping(data: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    value = data.get(key) or {}
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return value
    problems.append(f"“{key}” must have names with values below it.")
    return {}


def _dataset_or_word(
    data: Mapping[str, Any], key: str, words: list[str], otherwise: str, problems: list[str]
) -> tuple[Named | None, str]:
    value = data.get(key, otherwise)
    if value is None or (isinstance(value, str) and value in words):
        return None, value or otherwise
    return _dataset(value, key, problems, words), otherwise


def _dataset(value: Any, key: str, problems: list[str], words: list[str] | None = None) -> Named | None:
    """A dataset by its file's name, or by name, version and sha256."""
    if isinstance(value, str) and value:
        return Named(name=value)
    if isinstance(value, dict) and set(value) <= {"name", "version", "sha256"} and value:
        version = value.get("version")
        if version is None or (isinstance(version, int) and not isinstance(version, bool)):
            return Named(str(value.get("name") or ""), version, str(value.get("sha256") or ""))
    if value is not None or words is None:
        choice = f"{', '.join(words)}, or " if words else ""
        problems.append(f"“{key}” must be {choice}a dataset: its file's name, or name, version and sha256.")
    return None


def _short(value: object) -> str:
    return str(value)[:60]
