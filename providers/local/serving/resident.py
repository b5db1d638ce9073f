"""Which models are in memory: as many as it holds. The one that was used longest ago makes room for another."""

from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from providers.errors import ProviderError
from providers.local.serving import memory
from providers.local.serving.catalogue import Entry
from providers.local.serving.weights import Weights, place

log = structlog.get_logger()


class Resident:
    """The models in memory, by `Entry.weights`. Not for several threads, but for `names`."""

    def __init__(self, find_base: Callable[[str], Path], adapter_bytes: int | None = None) -> None:
        """`find_base` gives the folder of a base model, and may take its time."""
        self._find_base = find_base
        self._adapter_bytes = adapter_bytes
        self._models: OrderedDict[str, Weights] = OrderedDict()
        self.names: frozenset[str] = frozenset()

    def get(self, entry: Entry, busy: Collection[str]) -> Weights:
        """The entry's weights, loaded if they are not there, in place of what is not `busy`. Raises ProviderError."""
        key = entry.weights
        if key not in self._models:
            folder = self._folder(entry)
            device, dtype = place()
            while (idle := self._idle(busy)) and memory.free(device) < _with_reserve(memory.needed(folder, dtype)):
                log.info("model_unloaded", model=idle[0])
                del self._models[idle[0]]
                self.names = frozenset(self._models)
            log.info("model_loading", model=key)
            alone = entry if entry.adapter and not entry.mixes else None
            self._models[key] = Weights(folder, alone=alone, adapter_bytes=self._adapter_bytes)
            self.names = frozenset(self._models)
            log.info("model_loaded", model=key, bytes=self._models[key].bytes)
        self._models.move_to_end(key)
        return self._models[key]

    def has_room(self, entry: Entry, busy: Collection[str]) -> bool:
        """Whether the entry's weights are there or can be loaded now, while these others are busy."""
        if entry.weights in self._models or not busy:
            return True
        try:
            device, dtype = place()
            need = memory.needed(self._folder(entry), dtype)
        except (ProviderError, OSError, ValueError):
            return True  # loading will say what is wrong
        return memory.free(device) + sum(self._models[one].bytes for one in self._idle(busy)) >= _with_reserve(need)

    def clear(self) -> None:
        """Forget everything: something broke."""
        self._models.clear()
        self.names = frozenset()

    def _idle(self, busy: Collection[str]) -> list[str]:
        return [key for key in self._models if key not in busy]

    def _folder(self, entry: Entry) -> Path:
        return entry.own or self._find_base(entry.base_model)


def _with_reserve(need: int) -> int:
    return need + need // 8 + memory.RESERVE
