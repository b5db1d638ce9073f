"""How much memory there is, and how much of it a model's weights will take."""

import math
from pathlib import Path
from typing import Any

import psutil
import torch

from providers.local.safetensors_header import tensor_shapes

RESERVE = 512 << 20
"""Left free for what the answers themselves need."""
_CGROUP = Path("/sys/fs/cgroup")


def free(device: torch.device) -> int:
    """Bytes that could be taken now on this device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    here = int(psutil.virtual_memory().available)
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        cached = _inactive((_CGROUP / "memory.stat").read_text())
    except (OSError, ValueError):
        return here
    return here if limit == "max" else min(here, int(limit) - used + cached)


def needed(folder: Path, dtype: torch.dtype) -> int:
    """Bytes of a model's weights once they are loaded as `dtype`, by the headers of its files."""
    files = [path for path in folder.glob("*.safetensors") if "adapter" not in path.name]
    return sum(math.prod(shape) for path in files for shape in tensor_shapes(path).values()) * dtype.itemsize


def held(model: Any) -> int:
    """Bytes of a loaded model's weights."""
    return sum(one.numel() * one.element_size() for one in {id(one): one for one in model.parameters()}.values())


def _inactive(stat: str) -> int:
    """Bytes of cached files that the kernel would give back."""
    return next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file ")), 0)
