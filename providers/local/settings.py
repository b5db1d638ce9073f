"""What the trainer and the model server are told by this machine, and what of it they are not told."""

import math
import os
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

_ALLOWED = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|LD_LIBRARY_PATH|PYTHONPATH|SSL_CERT_FILE|SYSTEMROOT"
    r"|(CUDA|NVIDIA|ROCR|HIP|OMP|MKL|KMP|GOMP|PYTORCH|TORCH|XDG)_\w+"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHUT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}
_MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=100000000000"}
"""Memory freed by one step is kept for the next: else the kernel clears the same gigabytes each time."""
_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads sleep while they wait for one another: spinning on cores that others use too, a step takes thrice as long."""
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def trainer_environment(cache: Path) -> dict[str, str]:
    """The environment of a trainer: no secrets, no way to a hub; libraries keep their caches in `cache`."""
    known = {name: value for name, value in os.environ.items() if _ALLOWED.fullmatch(name) and not _SECRET.search(name)}
    paths = [str(PROJECT), *filter(None, known.get("PYTHONPATH", "").split(os.pathsep))]
    places = {"HF_HOME": str(cache / "libraries"), "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    first = known.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]  # one process would deal a batch out to all of them
    return {**known, **_SHUT, **_MEMORY, **_THREADS, **places, "CUDA_VISIBLE_DEVICES": first}


def shut_off() -> None:
    """Close the way to a hub for the libraries that this process is yet to import, and let their threads sleep."""
    os.environ.update(_SHUT | _THREADS)


def usable_cores() -> int:
    """The processor cores that this process may really use, a container's quota included."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
        allowed = cores if quota == "max" else math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        allowed = cores
    return max(1, min(cores, allowed))
