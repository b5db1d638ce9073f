import pytest

from providers.local import settings, threads
from providers.local.threads import FairThreads, share


@pytest.mark.parametrize(
    ("most", "cores", "others", "wanted"),
    [(2, 2, 0.1, 2), (2, 2, 1.0, 1), (2, 2, 2.0, 1), (8, 16, 3.2, 8), (8, 16, 12.0, 4), (1, 64, 0.0, 1)],
)
def test_others_keep_what_they_use(most, cores, others, wanted):
    assert share(most, cores, others) == wanted


def test_torch_computes_with_what_others_leave(monkeypatch):
    import torch

    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    looks = iter([(0.0, 0.0, 0.0), (10.0, 30.0, 10.0), (20.0, 40.0, 20.0)])
    monkeypatch.setattr(FairThreads, "_look", lambda _self: next(looks))
    try:
        fair = FairThreads()
        assert torch.get_num_threads() == 4
        assert fair.adjust() == torch.get_num_threads() == 2  # others used 20 of 10 seconds: two cores
        assert fair.adjust() == torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("running", "wanted"), [("1/80", 4), ("3/80", 2), ("9/80", 1), ("?", 4)])
def test_after_idle_time_only_those_who_compute_at_this_moment_count(monkeypatch, tmp_path, running, wanted):
    import torch

    before = torch.get_num_threads()
    (tmp_path / "loadavg").write_text(f"3.20 2.10 1.00 {running} 4711\n")
    monkeypatch.setattr(threads, "_LOAD", tmp_path / "loadavg")
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    try:
        assert FairThreads().resume() == torch.get_num_threads() == wanted
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 3), ("150000 100000", 2), ("50000 100000", 1), ("?", 3)])
def test_a_container_s_quota_counts(monkeypatch, tmp_path, quota, cores):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(settings, "_CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(settings.os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    assert settings.usable_cores() == cores
