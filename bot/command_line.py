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
class Help:
    """How to begin; `intro` says first what was wrong with what was typed."""

    intro: str = ""


Command = Start | Status | Cancel | Help

NAMES = {"start": "start", "new": "start", "status": "status", "list": "status", "runs": "status", "cancel": "cancel",
         "stop": "cancel", "help": "help"}  # fmt: skip
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
    if name == "start":
        return Start()
    return Status() if name == "status" else Help()


def _cancel(rest: list[str]) -> Command:
    number = re.fullmatch(r"#?(\d{1,9})", rest[0]) if len(rest) == 1 else None
    if number is None:
        return Help("Which run? Its number is on its card, as in: /finetune cancel 12")
    return Cancel(int(number[1]))
