"""What a file of tensors says about itself in its first bytes, without reading the tensors."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

_LONGEST = 100 << 20


def tensor_shapes(path: Path) -> Mapping[str, Sequence[int]]:
    """The tensors of a safetensors file, by name. Raises ValueError if it is none."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST:
            raise ValueError(f"{path.name} is no safetensors file")
        header = json.loads(file.read(length))
    try:
        return {name: tuple(one["shape"]) for name, one in header.items() if name != "__metadata__"}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is no safetensors file") from error
