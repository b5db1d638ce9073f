import os
from pathlib import Path

import pytest

from providers.local import hardware
from providers.local.hardware import Gpu, Hardware

LISTED = "NVIDIA H100 80GB HBM3, 81559, 9.0\nNVIDIA A10, 23028, 8.6\n"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program of that name, which says so much, first on the path."""

    def put(says: str, status: int = 0) -> None:
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\nprintf '%s' '{says}'\nexit {status}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return put


def test_a_machine_without_gpus_is_its_memory_and_cores(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    here = hardware.look()
    assert here.gpus == ()
    assert here.room == here.memory > 500_000_000
    assert here.bits in {16, 32}
    assert here.words.endswith("no GPU")


def test_gpus_are_listed_and_the_smallest_is_the_room(tool):
    tool(LISTED)
    here = hardware.look()
    assert [one.name for one in here.gpus] == ["NVIDIA H100 80GB HBM3", "NVIDIA A10"]
    assert here.room == 23028 * (1 << 20)
    assert here.bits == 16
    assert Hardware.from_json(here.to_json()) == here


@pytest.mark.parametrize("says", ["", "No devices were found", "a,b,c", "x, 12", "name, many, 9.0"])
def test_a_tool_that_says_something_else_means_no_gpu(tool, says):
    tool(says)
    assert hardware.look().gpus == ()


def test_a_tool_that_fails_means_no_gpu(tool):
    tool(LISTED, status=9)
    assert hardware.look().gpus == ()


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(hardware, "_CGROUP_LIMIT", limit)
    whole = hardware.look().memory
    limit.write_text("max\n")
    assert hardware.look().memory == whole
    limit.write_text("1000000000\n")
    assert hardware.look().memory == 1_000_000_000


def test_words_for_people():
    gpus = (Gpu("A10", 24 * 10**9, 8.6),) * 2
    assert Hardware(10**11, 16, 16, gpus).words == "2 × A10, 24 GB each"
