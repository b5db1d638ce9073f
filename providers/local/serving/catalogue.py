"""Which models the server answers for: base models by name, tuned ones by their folder's name.

A tuned model is an adapter on a base model, or a folder with weights of its own: one that was trained in full, or
one that an adapter was merged into. A folder `merged` inside a tuned model's folder is a model of its own too,
called NAME-merged.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from providers.errors import NotConfigured, NotFound
from providers.local import base_models
from providers.local.safetensors_header import tensor_shapes

_ADAPTER = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
MERGED = "merged"
_BEYOND = (
    "alora_invocation_tokens",
    "arrow_config",
    "fan_in_fan_out",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "modules_to_save",
    "target_parameters",
    "trainable_token_indices",
    "use_qalora",
)
"""Settings of PEFT's with which an adapter is more than two small matrices a layer."""
_BEGINNINGS = (None, True, False, "gaussian", "orthogonal", "eva")
"""First values of an adapter that leave the base model as it is."""


@dataclass(frozen=True)
class Entry:
    """A model: a base, an adapter on one, or a folder with weights of its own, which is its own base then.

    `version` changes when the files do. `mixes`: the adapter is a plain one, that shares its base model with others.
    """

    name: str
    base_model: str
    adapter: Path | None = None
    version: str = ""
    own: Path | None = None
    mixes: bool = True

    @property
    def weights(self) -> str:
        """The weights that must be in memory for it: entries with the same ones share them."""
        alone = self.own or (None if self.mixes else self.adapter)
        return f"{alone}@{self.version}" if alone else self.base_model


class Catalogue:
    """Looks at the folder of tuned models each time it is asked, so a new one is there at once."""

    def __init__(self, models: Path, cache: Path) -> None:
        self._models = models
        self._cache = cache

    def entries(self) -> dict[str, Entry]:
        """Every model, by name."""
        merged = {entry.name: entry for path in self._folders() for entry in _read(path / MERGED, path.name)}
        tuned = {entry.name: entry for path in self._folders() for entry in _read(path)}
        bases = {name for name in base_models.PACKAGED if self._is_there(name)}
        bases |= {entry.base_model for entry in tuned.values() if entry.base_model != entry.name}
        return {**merged, **tuned, **{name: Entry(name, name) for name in sorted(bases)}}

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


def _read(folder: Path, of: str = "") -> Iterator[Entry]:
    """The tuned model in a folder, if it holds one; `of` is the model that it is the merged form of."""
    name = f"{of}-{MERGED}" if of else folder.name
    try:
        if (folder / _CONFIG).is_file():
            version = _version([folder / _ADAPTER, folder / _CONFIG])
            base = _base(folder)
            if base:
                yield Entry(name, base, folder, version, mixes=_mixes(folder, version))
        elif (folder / "config.json").is_file() and (weights := sorted(folder.glob("model*.safetensors"))):
            yield Entry(name, _base(folder.parent if of else folder) or name, version=_version(weights), own=folder)
    except (FileNotFoundError, NotADirectoryError):
        return


@lru_cache(maxsize=1000)
def _mixes(folder: Path, _version: str) -> bool:
    """Whether an adapter is no more than two small matrices a linear layer, and perhaps DoRA's magnitudes."""
    try:
        said = json.loads((folder / _CONFIG).read_text())
        tensors = tensor_shapes(folder / _ADAPTER)
    except ValueError:
        return True  # it is broken, which is said when it is asked
    return (
        isinstance(said, dict)
        and all(".lora_" in name and ".lora_embedding_" not in name for name in tensors)
        and said.get("peft_type") == "LORA"
        and not any(said.get(name) for name in _BEYOND)
        and said.get("bias", "none") == "none"
        and said.get("init_lora_weights") in _BEGINNINGS
        and bool(said.get("target_modules"))
    )


def _base(folder: Path) -> str:
    try:
        base = json.loads((folder / base_models.MODEL_FILE).read_text()).get("base_model")
    except (FileNotFoundError, ValueError, AttributeError):
        return ""
    return base if isinstance(base, str) else ""


def _version(files: list[Path]) -> str:
    stats = [path.stat() for path in files]
    return "-".join(f"{one.st_ino}.{one.st_mtime_ns}.{one.st_size}" for one in stats)
