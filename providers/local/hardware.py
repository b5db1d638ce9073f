"""What this machine trains with: its GPUs, or its processor. Needs no torch."""

import csv
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from providers.local.settings import usable_cores

_CPU_INFO = Path("/proc/cpuinfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_ASK_SECONDS = 10
_COLUMNS = "name,memory.total,compute_cap"
_MEBIBYTE = 1 << 20
_BF16 = frozenset({"amx_bf16", "avx512_bf16"})
"""What a processor that computes in bfloat16 by itself calls it."""


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine. `memory` in bytes; `capability` is CUDA's compute capability."""

    name: str
    memory: int
    capability: float


@dataclass(frozen=True)
class Hardware:
    """A machine that trains. `memory` in bytes, a container's limit included."""

    memory: int
    cores: int
    bits: int
    """In which it computes when it may choose: 16 or 32."""
    gpus: tuple[Gpu, ...] = ()

    @property
    def room(self) -> int:
        """Bytes that one training may fill: of its smallest GPU, or of the machine."""
        return min((one.memory for one in self.gpus), default=self.memory)

    @property
    def words(self) -> str:
        """For people."""
        if not self.gpus:
            return f"{self.cores} cores, {self.memory / 1e9:.0f} GB, no GPU"
        names = sorted({one.name for one in self.gpus})
        return f"{len(self.gpus)} × {', '.join(names)}, {self.room / 1e9:.0f} GB each"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Hardware":
        """The reverse of `to_json`."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "gpus": tuple(Gpu(**one) for one in data.get("gpus") or ())})


def look() -> Hardware:
    """This machine."""
    gpus = _gpus()
    bits = 16 if gpus or computes_in_bf16() else 32
    return Hardware(memory=_memory(), cores=usable_cores(), bits=bits, gpus=gpus)


def computes_in_bf16() -> bool:
    """Whether the processor has instructions for bfloat16; False where the kernel does not say."""
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return bool(_BF16 & set(flags.split()))


def _memory() -> int:
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return own
    return min(own, int(limit)) if limit.isdecimal() else own


def _gpus() -> tuple[Gpu, ...]:
    """What NVIDIA's own tool lists; nothing where there is no such tool, or it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    asked = [program, f"--query-gpu={_COLUMNS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_ASK_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(found for line in csv.reader(done.stdout.splitlines()) if (found := _gpu(line)) is not None)


def _gpu(line: Sequence[str]) -> Gpu | None:
    try:
        name, memory, capability = (one.strip() for one in line)
        return Gpu(name, int(memory) * _MEBIBYTE, float(capability))
    except ValueError:
        return None
