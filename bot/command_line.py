"""The words after `/finetune`, and after a mention of the bot."""

import difflib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Start:
    """Open the form."""


@dataclass(frozen=True)
class Status:
    """List the runs of this channel."""


@dataclass(frozen=True)
class Cancel:
    """End a run."""

    run_id: int


@dataclass(frozen=True)
class Pause:
    """Let a run rest until it is resumed."""

    run_id: int


@dataclass(frozen=True)
class Resume:
    """Let a paused run go on."""

    run_id: int


@dataclass(frozen=True)
class Show:
    """Show a run's card."""

    run_id: int


@dataclass(frozen=True)
class Keys:
    """List the vendor credentials, to add and replace them."""


@dataclass(frozen=True)
class DataList:
    """List the datasets that can be used here."""


@dataclass(frozen=True)
class DataShow:
    """Show one dataset, by its number or its name."""

    wanted: str


@dataclass(frozen=True)
class DataDiff:
    """What differs between two datasets."""

    before: str
    after: str


@dataclass(frozen=True)
class DataDelete:
    """Delete a dataset, after a question."""

    wanted: str


@dataclass(frozen=True)
class DataAdd:
    """Read a dataset that is named, as in hf:owner/name@revision."""

    source: str


@dataclass(frozen=True)
class Help:
    """How to begin; `intro` says first what was wrong with what was typed."""

    intro: str = ""


Data = DataList | DataShow | DataDiff | DataDelete | DataAdd
OneRun = Cancel | Pause | Resume | Show
Command = Start | Status | OneRun | Keys | Data | Help

NAMES = {"start": "start", "new": "start", "status": "status", "list": "status", "runs": "status", "cancel": "cancel",
         "stop": "cancel", "pause": "pause", "hold": "pause", "resume": "resume", "continue": "resume", "show": "show",
         "run": "show", "keys": "keys", "key": "keys", "credentials": "keys", "vendors": "keys", "data": "data",
         "datasets": "data", "dataset": "data", "help": "help"}  # fmt: skip
"""What may be typed, and which command it is."""


def parse(text: str) -> Command:
    """The command that was typed. What is none becomes Help, which says so."""
    words = text.split()
    if not words:
        return Help()
    typed = words[0].lower()
    name = NAMES.get(typed)
    if name is None:
        close = difflib.get_close_matches(typed, NAMES, n=1)
        hint = f" Did you mean “{NAMES[close[0]]}”?" if close else ""
        return Help(f"There is no command “{words[0][:40]}”.{hint}")
    if name in OF_ONE_RUN:
        return _of_one_run(name, words[1:])
    if name == "data":
        return _data(words[1:])
    plain: dict[str, Command] = {"start": Start(), "status": Status(), "keys": Keys()}
    return plain.get(name, Help())


OF_ONE_RUN: dict[str, type[OneRun]] = {"cancel": Cancel, "pause": Pause, "resume": Resume, "show": Show}
"""The commands that need a run's number."""


def _of_one_run(name: str, rest: list[str]) -> Command:
    rest = rest[1:] if rest[:1] == ["run"] else rest
    number = re.fullmatch(r"#?(\d{1,9})", rest[0]) if len(rest) == 1 else None
    if number is None:
        about_data = " A dataset is shown by: /finetune data show NAME" if name == "show" and rest else ""
        return Help(f"Which run? Its number is on its card, as in: /finetune {name} 12{about_data}")
    return OF_ONE_RUN[name](int(number[1]))


DATA_NAMES = {"list": "list", "show": "show", "diff": "diff", "compare": "diff", "delete": "delete", "remove": "delete",
              "add": "add"}  # fmt: skip
"""What may be typed after "data", and which command it is."""


def _data(rest: list[str]) -> Command:
    if not rest:
        return DataList()
    if rest[0].startswith("hf:"):
        rest = ["add", *rest]
    typed, arguments = rest[0].lower(), rest[1:]
    match DATA_NAMES.get(typed), arguments:
        case "list", _:
            return DataList()
        case "show", [_, *_]:
            return DataShow(" ".join(arguments))
        case "delete", [_, *_]:
            return DataDelete(" ".join(arguments))
        case "add", [source]:
            return DataAdd(source)
        case "diff", [before, after]:
            return DataDiff(before, after)
        case "show" | "delete", []:
            return Help(f"Which dataset? Its number is in the list, as in: /finetune data {typed} 3")
        case "diff", _:
            return Help("Which two datasets? Their numbers are in the list, as in: /finetune data diff 3 5")
        case "add", _:
            return Help("Which dataset? With its owner and revision, as in: /finetune data add hf:owner/name@1a2b3c4")
    close = difflib.get_close_matches(typed, DATA_NAMES, n=1)
    hint = f" Did you mean “data {close[0]}”?" if close else ""
    return Help(f"There is no command “data {rest[0][:40]}”.{hint} There are data show, diff, delete and add.")
