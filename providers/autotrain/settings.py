"""What AutoTrain and the installer of its environment are told of this machine, and what they are not."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_ALLOWED = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|SYSTEMROOT"
    r"|(CUDA|NVIDIA|ROCR|HIP|OMP|MKL|KMP|GOMP|PYTORCH|TORCH)_\w+"
)
_INSTALLER = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|SYSTEMROOT|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY|UV_\w+|NETRC"
    r"|XDG_CACHE_HOME|XDG_CONFIG_\w+",
    re.IGNORECASE,
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
SHUT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ALLOW_REMOTE_CODE": "false",
    "PAUSE_ON_FAILURE": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    "PYTHONNOUSERSITE": "1",
}
"""No way to a hub, no code of strangers, no pausing of machines in a cloud."""


def training_environment(environment: Path, folder: Path, told: Mapping[str, str] | None = None) -> dict[str, str]:
    """For AutoTrain: no secrets; its own programs first; what libraries keep goes with the run's folder."""
    known = _some(_ALLOWED, told)
    programs = os.pathsep.join([str(environment / "bin"), known.get("PATH", os.defpath)])
    return {
        **{name: value for name, value in known.items() if not _SECRET.search(name)},
        **SHUT,
        "PATH": programs,
        "VIRTUAL_ENV": str(environment),
        "HF_HOME": str(folder / "libraries"),
    }


def project_environment(told: Mapping[str, str] | None = None) -> dict[str, str]:
    """For our own `providers.local.portable`: no secrets."""
    return {name: value for name, value in _some(_ALLOWED, told).items() if not _SECRET.search(name)}


def installing_environment(told: Mapping[str, str] | None = None) -> dict[str, str]:
    """For the installer, which may need a proxy and a registry of one's own."""
    return _some(_INSTALLER, told)


def find_links(told: Mapping[str, str] | None = None) -> list[str]:
    """Folders and pages with packages that pip would look at, and uv would not."""
    return ((os.environ if told is None else told).get("PIP_FIND_LINKS") or "").split()


def _some(pattern: re.Pattern[str], told: Mapping[str, str] | None) -> dict[str, str]:
    given = os.environ if told is None else told
    return {name: value for name, value in given.items() if pattern.fullmatch(name)}
