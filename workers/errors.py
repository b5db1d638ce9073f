"""What can go wrong in the domain.

FinetuneBotError
├── UserError               somebody can mend it; `user_message` says how
│   ├── NotAllowed          this person may not do that
│   ├── NotFound            no such dataset, run or endpoint (or not visible from here)
│   ├── InvalidPlan         problems with a run's plan, all of them, by field
│   └── FileRefused         a file that cannot become a dataset
├── IllegalTransition       a run cannot go from this state to that one
├── Interrupted             a trainer was killed from outside; the next attempt goes on where it was
├── LeaseLost               another worker owns the task now: stop at once, change nothing
├── RetryLater              the task should be tried again after a while
└── SetupProblem            this machine or its settings are not ready; says what to do
"""

from collections.abc import Mapping


class FinetuneBotError(Exception):
    """Base of the tree."""


class UserError(FinetuneBotError):
    """Somebody can mend it: `user_message` says what, where and what to do next."""

    def __init__(self, user_message: str) -> None:
        super().__init__(user_message)
        self.user_message = user_message


class NotAllowed(UserError):
    """This person may not do that."""


class NotFound(UserError):
    """No such dataset, run or endpoint, or it is not visible from here."""


class InvalidPlan(UserError):
    """Problems with a run's plan: `problems` maps a form field to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = dict(problems)


class FileRefused(UserError):
    """A file that cannot become a dataset."""


class IllegalTransition(FinetuneBotError):
    """A run cannot go from this state to that one."""


class Interrupted(FinetuneBotError):
    """A trainer was killed from outside; the next attempt goes on where it was."""


class LeaseLost(FinetuneBotError):
    """Another worker owns the task now: stop at once, change nothing."""


class RetryLater(FinetuneBotError):
    """The task should be tried again after `seconds`; it has not crashed."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class SetupProblem(FinetuneBotError):
    """This machine or its settings are not ready; the message says what to do."""
