"""What a process may use, read from cgroup files made here."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from naiad.observability import cgroup


def place(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_the_narrowest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    root = place(
        tmp_path / "cgroup",
        {
            "a/b/memory.max": "max\n",
            "a/memory.max": "1048576\n",
            "a/b/cpu.max": "50000 100000\n",
            "cpu.max": "max 100000\n",
        },
    )
    membership = tmp_path / "membership"
    membership.write_text("0::/a/b\n")
    assert cgroup.memory_limit(root, membership) == 1048576
    assert cgroup.cpu_count(root, membership) == 1


def test_the_first_version_of_cgroups_is_read_too(tmp_path: Path) -> None:
    root = place(
        tmp_path / "cgroup",
        {
            "memory/x/memory.limit_in_bytes": "2097152\n",
            "cpu/x/cpu.cfs_quota_us": "100000\n",
            "cpu/x/cpu.cfs_period_us": "100000\n",
        },
    )
    membership = tmp_path / "membership"
    membership.write_text("4:memory:/x\n3:cpu,cpuacct:/x\n")
    assert cgroup.memory_limit(root, membership) == 2097152
    assert cgroup.cpu_count(root, membership) == 1


def test_without_limits_the_machine_counts(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert cgroup.memory_limit(missing, missing) == psutil.virtual_memory().total
    assert cgroup.cpu_count(missing, missing) == len(os.sched_getaffinity(0))


def test_what_is_used_is_that_of_the_group_with_the_narrowest_limit(tmp_path: Path) -> None:
    root = place(
        tmp_path / "cgroup",
        {
            "a/b/memory.max": "max\n",
            "a/b/memory.current": "111\n",
            "a/memory.max": "1048576\n",
            "a/memory.current": "600000\n",
            "a/memory.stat": "anon 5\ninactive_file 100000\nfile 3\n",
            "a/b/cpu.max": "max 100000\n",
            "a/b/cpu.stat": "usage_usec 1\n",
            "a/cpu.max": "50000 100000\n",
            "a/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
        },
    )
    membership = tmp_path / "membership"
    membership.write_text("0::/a/b\n")
    assert cgroup.memory(root, membership) == cgroup.Memory(1048576, 500000)
    assert cgroup.cpu(root, membership) == cgroup.Cpu(0.5, 2.5)


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu"])
def test_what_is_used_is_read_from_the_first_version_of_cgroups_too(tmp_path: Path, controllers: str) -> None:
    root = place(
        tmp_path / "cgroup",
        {
            "memory/x/memory.limit_in_bytes": "2097152\n",
            "memory/x/memory.usage_in_bytes": "90\n",
            "memory/x/memory.stat": "inactive_file 1\ntotal_inactive_file 100\n",
            "cpu/x/cpu.cfs_quota_us": "25000\n",
            "cpu/x/cpu.cfs_period_us": "100000\n",
            "cpuacct/x/cpuacct.usage": "3000000000\n",
        },
    )
    membership = tmp_path / "membership"
    membership.write_text(f"4:memory:/x\n3:{controllers}:/x\n")
    assert cgroup.memory(root, membership) == cgroup.Memory(2097152, 0)
    assert cgroup.cpu(root, membership) == cgroup.Cpu(0.25, 3.0)


def test_a_limit_without_figures_of_use_is_told_beside_the_machines_own(tmp_path: Path) -> None:
    root = place(tmp_path / "cgroup", {"memory.max": "1048576\n", "cpu.max": "10000 100000\n"})
    membership = tmp_path / "membership"
    membership.write_text("0::/\n")
    before = cgroup.cpu(tmp_path / "missing", membership)
    limited = cgroup.cpu(root, membership)
    assert limited.cores == 0.1
    assert limited.seconds >= before.seconds > 0
    assert cgroup.memory(root, membership).limit == 1048576
    assert cgroup.memory(root, membership).used > 1048576


def test_without_limits_the_use_is_that_of_the_machine(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    memory = cgroup.memory(missing, missing)
    assert 0 < memory.used < memory.limit == psutil.virtual_memory().total
    before = cgroup.cpu(missing, missing)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    after = cgroup.cpu(missing, missing)
    assert after.cores == len(os.sched_getaffinity(0))
    assert after.seconds - before.seconds >= 0.05  # the host counts in hundredths
