"""What differs between methods: how examples are read, and which of TRL's trainers learns from them.

base            what every method is given and gives back
sft             supervised: conversations are read in `conversations`, the loss is `answers_only`
dpo, orpo       pairs of a wanted and an unwanted answer, read in `pairs`
kto             answers that are labelled as wanted or unwanted
grpo            answers that are tried, and rewarded by how close they come to a reference (`rewards`)
likelihoods     which of two answers the model holds likelier, before and after
"""

from importlib import import_module
from typing import cast

from providers.base import Method
from providers.errors import InvalidRequest
from providers.local.training.methods.base import Judging, Learning

_MODULES = {
    Method.SFT: "sft",
    Method.DPO: "dpo",
    Method.KTO: "kto",
    Method.ORPO: "orpo",
    Method.GRPO: "grpo",
}
KNOWN = frozenset(_MODULES)
"""The methods that this machine's trainer knows."""


def learning(method: Method) -> Learning:
    """The module of a method, imported when it is asked for. Raises InvalidRequest."""
    if method not in _MODULES:
        known = ", ".join(sorted(KNOWN))
        raise InvalidRequest(f"Training on this machine knows the methods {known}, not {method}.")
    return cast(Learning, import_module(f"{__name__}.{_MODULES[method]}"))


def judging(method: Method) -> Judging | None:
    """The module of a method that can say how its model judges answers; None for the others."""
    module = learning(method)
    return module if isinstance(module, Judging) else None
