"""What differs between methods: how examples are read, and which of TRL's trainers learns from them.

base            what every method is given and gives back
sft             supervised: conversations are read in `conversations`, the loss is `answers_only`
"""

from importlib import import_module
from typing import cast

from providers.base import Method
from providers.errors import InvalidRequest
from providers.local.training.methods.base import Learning

_MODULES = {Method.SFT: "sft"}
KNOWN = frozenset(_MODULES)
"""The methods that this machine's trainer knows."""


def learning(method: Method) -> Learning:
    """The module of a method, imported when it is asked for. Raises InvalidRequest."""
    if method not in _MODULES:
        known = ", ".join(sorted(KNOWN))
        raise InvalidRequest(f"Training on this machine knows the methods {known}, not {method}.")
    return cast(Learning, import_module(f"{__name__}.{_MODULES[method]}"))
