"""What a process may use, read from cgroup files made here."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

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
