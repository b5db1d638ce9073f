"""Which models the server answers for: base models by name, tuned ones by their folder's name."""

import json
from dataclasses import dataclass
from pathlib import Path

from providers.errors import NotConfigured, NotFound
from providers.local import base_models

_ADAPTER = "adapter_model.safetensors"


@dataclass(frozen=True)
class Entry:
    """A model: a base, or an adapter on one. `version` changes when the adapter's files do."""

    name: str
    base_model: str
    adapter: Path | None = None
    version: str = ""


class Catalogue:
    """Looks at the folder of tuned models each time it is asked, so a new one is there at once."""

    def __init__(self, models: Path, cache: Path) -> None:
        self._models = models
        self._cache = cache

    def entries(self) -> dict[str, Entry]:
        """Every model, by name."""
        tuned = [entry for path in self._folders() if (entry := _read(path)) is not None]
        bases = {name for name in base_models.PACKAGED if self._is_there(name)}
        bases |= {entry.base_model for entry in tuned}
        return {entry.name: entry for entry in [*tuned, *(Entry(name, name) for name in sorted(bases))]}

    def find(self, name: str) -> Entry:
        """The model of this name, which is only ever compared. Raises NotFound."""
        entry = self.entries().get(name)
        if entry is None:
            raise NotFound(f"The model {name[:100]!r} does not exist here.")
        return entry

    def _folders(self) -> list[Path]:
        try:
            return sorted(path for path in self._models.iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []

    def _is_there(self, name: str) -> bool:
        try:
            base_models.check(name, self._cache)
        except NotConfigured:
            return False
        return True


def _read(folder: Path) -> Entry | None:
    """The tuned model in a folder; None if it holds none."""
    try:
        weights = (folder / _ADAPTER).stat()
        base = json.loads((folder / base_models.MODEL_FILE).read_text())["base_model"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not isinstance(base, str) or not (folder / "adapter_config.json").is_file():
        return None
    return Entry(folder.name, base, folder, f"{weights.st_ino}-{weights.st_mtime_ns}-{weights.st_size}")
