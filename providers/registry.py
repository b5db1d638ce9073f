"""Which providers there are, by name. A provider's room is imported when it is first asked for."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from threading import Lock
from typing import cast

from providers.base import Capabilities, ChatProvider, HostingProvider, ModelKeeper, TrainingProvider
from providers.capabilities import CAPABILITIES
from providers.credentials import Credentials, needed_by
from providers.errors import NotConfigured
from providers.settings import ProviderSettings

NOTHING: Credentials = {}
MOST_BUILT = 256
"""So many clients are kept, each with its connections; the least recently asked for goes first."""


@dataclass(frozen=True)
class Room:
    """A provider's module. For each of its `sides` it has `build_<side>(settings, credentials)`."""

    module: str
    sides: frozenset[str]


_BOTH = frozenset({"training", "chat"})
ROOMS: Mapping[str, Room] = {
    "local": Room("providers.local.adapter", _BOTH),
    "autotrain": Room("providers.autotrain.adapter", _BOTH),
    "stub": Room("providers.stub", _BOTH),
    "openai": Room("providers.openai", _BOTH | {"models"}),
    "azure_openai": Room("providers.azure_openai", _BOTH | {"models", "hosting"}),
    "azure_ml": Room("providers.azure_ml", _BOTH | {"models", "hosting"}),
}


@dataclass(frozen=True)
class Providers:
    """Every provider of this installation; what was built for the same credentials is kept. Safe in threads."""

    settings: ProviderSettings
    _built: "OrderedDict[tuple[str, str, str], object]" = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def names(self) -> list[str]:
        """The names that there are."""
        return sorted(ROOMS)

    def has(self, name: str, side: str) -> bool:
        """Whether this provider does that: "training", "chat", "hosting" or "models"."""
        return side in _room(name).sides

    def capabilities(self, name: str) -> Capabilities:
        """What it can do; asks for no credentials. Raises NotConfigured."""
        _room(name)
        return CAPABILITIES[name]

    def training(self, name: str, credentials: Credentials = NOTHING) -> TrainingProvider:
        """The provider that trains under this name. Raises NotConfigured."""
        return cast(TrainingProvider, self._build(name, "training", credentials))

    def chat(self, name: str, credentials: Credentials = NOTHING) -> ChatProvider:
        """The provider that answers under this name. Raises NotConfigured."""
        return cast(ChatProvider, self._build(name, "chat", credentials))

    def hosting(self, name: str, credentials: Credentials = NOTHING) -> HostingProvider:
        """The provider that hosts tuned models under this name. Raises NotConfigured."""
        return cast(HostingProvider, self._build(name, "hosting", credentials))

    def models(self, name: str, credentials: Credentials = NOTHING) -> ModelKeeper:
        """The provider that keeps models under this name. Raises NotConfigured."""
        return cast(ModelKeeper, self._build(name, "models", credentials))

    def _build(self, name: str, side: str, credentials: Credentials) -> object:
        room = _room(name)
        if side not in room.sides:
            raise NotConfigured(f"The provider {name} has nothing to do with {side}.")
        if needed_by(name) and not credentials:
            raise NotConfigured(f"There are no credentials for {name} here yet. An admin can add them: /finetune keys")
        key = (name, side, _digest(credentials))
        with self._lock:
            if key not in self._built:
                self._built[key] = getattr(import_module(room.module), f"build_{side}")(self.settings, credentials)
                if len(self._built) > MOST_BUILT:
                    self._built.popitem(last=False)  # its connections close once nobody uses it any more
            self._built.move_to_end(key)
            return self._built[key]


def _room(name: str) -> Room:
    if name not in ROOMS:
        raise NotConfigured(f"There is no provider {name!r} here. Choose one of: {', '.join(sorted(ROOMS))}.")
    return ROOMS[name]


def _digest(credentials: Credentials) -> str:
    return hashlib.sha256(json.dumps(dict(credentials), sort_keys=True).encode()).hexdigest()


def build(settings: ProviderSettings) -> Providers:
    """The providers of this installation. Nothing is imported or connected to yet."""
    return Providers(settings)
