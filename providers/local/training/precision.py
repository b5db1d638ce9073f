"""Whether training in bfloat16 is quicker on this machine than in 32 bits."""

from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


def bf16_is_quicker() -> bool:
    """True for a GPU that knows bfloat16, and for processors with instructions for it."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(_FLAGS & cpu_flags())


def cpu_flags() -> frozenset[str]:
    """What this machine's processor can do, in the kernel's words; empty where the kernel does not say."""
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())
