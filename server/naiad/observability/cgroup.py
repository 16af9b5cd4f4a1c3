"""What this process may use: the limits of its control group rather than the size of the host.

Read from cgroup v2 (`cpu.max`, `memory.max`, of the process's own group and every one above it) or v1, under
`root`; without limits, or on a system without cgroups, the host's own figures.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def cpu_count(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """Cores that this process may keep busy, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for group in _groups(root, membership) if (quota := _quota(group)) is not None]
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas)]))


def memory_limit(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """Bytes of memory that this process may use."""
    limits = [limit for group in _groups(root, membership) if (limit := _memory(group)) is not None]
    return min([psutil.virtual_memory().total, *limits])


def _groups(root: Path, membership: Path) -> Iterator[Path]:
    """The directories that say something about this process's group, from the group itself upwards."""
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            base = root / controller
            group = base / path.lstrip("/")
            while group.is_relative_to(base):
                yield group
                if group == base:
                    break
                group = group.parent


def _quota(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    if not period:
        quota = _read(group / "cpu.cfs_quota_us").strip()
        period = _read(group / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _memory(group: Path) -> int | None:
    limit = _read(group / "memory.max").strip() or _read(group / "memory.limit_in_bytes").strip()
    return int(limit) if limit.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
