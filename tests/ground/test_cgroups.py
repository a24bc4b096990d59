"""Limits of control groups, of both versions, read from files as the system lays them out."""

from __future__ import annotations

import pytest

from lowrank_cli import cgroups, memory
from lowrank_cli.engines.threads import available_threads

GIB = 1 << 30


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """groups(mounts, own, files): a system of these mounts, (type, root, options) by folder, whose process is in the
    groups ``own``, and files of groups with what they say."""

    def make(mounts, own, files):
        proc = tmp_path / "proc dir"
        proc.mkdir()
        lines = []
        for name, (kind, root, options) in mounts.items():
            where = str(tmp_path / name).replace(" ", "\\040")
            lines.append(f"30 23 0:29 {root} {where} rw shared:9 - {kind} {kind} {options}")
        (proc / "mountinfo").write_text("23 1 8:1 / / rw - ext4 /dev/sda rw\n" + "\n".join(lines) + "\n")
        (proc / "cgroup").write_text("\n".join(own) + "\n")
        for name, said in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{said}\n")
        monkeypatch.setattr(cgroups, "PROC", str(proc))

    yield make
    cgroups._groups.cache_clear()


V2 = {"cg two": ("cgroup2", "/", "rw,nsdelegate")}
V1 = {"mem": ("cgroup", "/", "rw,memory"), "cpu": ("cgroup", "/", "rw,cpu,cpuacct"), "uni": ("cgroup2", "/", "rw")}
OWN_V1 = ["4:memory:/jobs/mine", "1:cpu,cpuacct:/jobs", "0::/"]


def test_g01_of_version_2_the_tightest_group_above_the_process_counts_and_its_dropped_cache_is_free(groups):
    files = {
        "cg two/a.slice/b/memory.max": "max",
        "cg two/a.slice/b/memory.current": 100,
        "cg two/a.slice/memory.max": 3 * GIB,
        "cg two/a.slice/memory.current": 2 * GIB,
        "cg two/a.slice/memory.stat": "anon 7\nfile 900\nshmem 400\ninactive_file 300\nactive_file 200",
        "cg two/c/memory.max": 5,
    }
    groups(V2, ["0::/a.slice/b"], files)
    assert cgroups.memory_left() == GIB + 500
    assert memory.available_memory() <= GIB + 500


def test_g01_of_version_1_the_group_of_the_process_counts_and_no_limit_is_none(groups):
    files = {
        "mem/memory.limit_in_bytes": 2**63 - 4096,
        "mem/memory.usage_in_bytes": 9 * GIB,
        "mem/jobs/mine/memory.limit_in_bytes": 2 * GIB,
        "mem/jobs/mine/memory.usage_in_bytes": GIB,
        "mem/jobs/mine/memory.stat": "inactive_file 1\ntotal_inactive_file 30\ntotal_active_file 20",
    }
    groups(V1, OWN_V1, files)
    assert cgroups.memory_left() == GIB + 50
    # without a period nothing is granted, and none is refused
    assert cgroups.processors() is None


def test_g01_in_a_container_the_root_that_is_seen_is_its_own_group(groups):
    files = {"box/memory.max": GIB, "box/memory.current": 1, "box/cpu.max": "50000 100000"}
    # once without a name space of its own, where the host's path shows, and once with one
    groups({"box": ("cgroup2", "/docker/1f", "rw")}, ["0::/docker/1f"], files)
    assert cgroups.memory_left() == GIB - 1 and cgroups.processors() == 1


def test_g01_a_group_outside_of_what_is_mounted_falls_back_to_the_root_that_is_seen(groups):
    groups({"box": ("cgroup2", "/", "rw")}, ["0::/../other"], {"box/memory.max": GIB, "box/memory.current": 1})
    assert cgroups.memory_left() == GIB - 1


@pytest.mark.parametrize(("said", "granted"), [("max 100000", None), ("150000 100000", 2), ("1000 100000", 1)])
def test_g08_a_quota_of_processor_time_bounds_the_threads(groups, said, granted):
    groups(V2, ["0::/a"], {"cg two/a/cpu.max": said, "cg two/cpu.max": "6400000 100000"})
    assert cgroups.processors() == (granted or 64)
    assert available_threads() <= (granted or 64)


@pytest.mark.parametrize(("quota", "granted"), [(-1, None), (200_000, 2), (50_000, 1)])
def test_g08_so_does_one_of_version_1(groups, quota, granted):
    groups(V1, OWN_V1, {"cpu/jobs/cpu.cfs_quota_us": quota, "cpu/jobs/cpu.cfs_period_us": 100_000})
    assert cgroups.processors() == granted


def test_without_proc_there_are_no_limits(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroups, "PROC", str(tmp_path))
    assert cgroups.memory_left() is None and cgroups.processors() is None
