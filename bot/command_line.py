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
Command = Start | Status | Cancel | Data | Help

NAMES = {"start": "start", "new": "start", "status": "status", "list": "status", "runs": "status", "cancel": "cancel",
         "stop": "cancel", "data": "data", "datasets": "data", "dataset": "data", "help": "help"}  # fmt: skip
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
    if name == "cancel":
        return _cancel(words[1:])
    if name == "data":
        return _data(words[1:])
    if name == "start":
        return Start()
    return Status() if name == "status" else Help()


def _cancel(rest: list[str]) -> Command:
    number = re.fullmatch(r"#?(\d{1,9})", rest[0]) if len(rest) == 1 else None
    if number is None:
        return Help("Which run? Its number is on its card, as in: /finetune cancel 12")
    return Cancel(int(number[1]))


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
