"""Which providers there are, by name. A provider's room is imported when it is first asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from threading import Lock
from typing import cast

from providers.base import ChatProvider, TrainingProvider
from providers.errors import NotConfigured
from providers.settings import ProviderSettings


@dataclass(frozen=True)
class _Rooms:
    """Where a provider's two sides are built: "module:function", each taking the settings."""

    training: str
    chat: str


ROOMS: Mapping[str, _Rooms] = {
    "local": _Rooms("providers.local.adapter:build_training", "providers.local.adapter:build_chat"),
    "stub": _Rooms("providers.stub:build_training", "providers.stub:build_chat"),
}


@dataclass(frozen=True)
class Providers:
    """Every provider of this installation, each side built once and kept. Safe in threads."""

    settings: ProviderSettings
    _built: dict[str, object] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def names(self) -> list[str]:
        """The names that `training` and `chat` know."""
        return sorted(ROOMS)

    def training(self, name: str) -> TrainingProvider:
        """The provider that trains under this name. Raises NotConfigured."""
        return cast(TrainingProvider, self._build(_rooms(name).training))

    def chat(self, name: str) -> ChatProvider:
        """The provider that answers under this name. Raises NotConfigured."""
        return cast(ChatProvider, self._build(_rooms(name).chat))

    def _build(self, place: str) -> object:
        with self._lock:
            if place not in self._built:
                module, _, function = place.partition(":")
                self._built[place] = getattr(import_module(module), function)(self.settings)
            return self._built[place]


def _rooms(name: str) -> _Rooms:
    if name not in ROOMS:
        raise NotConfigured(f"There is no provider {name!r} here. Choose one of: {', '.join(sorted(ROOMS))}.")
    return ROOMS[name]


def build(settings: ProviderSettings) -> Providers:
    """The providers of this installation. Nothing is imported or connected to yet."""
    return Providers(settings)
