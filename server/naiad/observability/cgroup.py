"""What this process may use: the limits of its control group rather than the size of the host.

Read from cgroup v2 (`cpu.max`, `memory.max`, of the process's own group and every one above it) or v1, under
`root`; without limits, or on a system without cgroups, the host's own figures. What is in use is told of whatever the
narrowest limit is for: its group, or the host.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


class Cpu(NamedTuple):
    """The cores that may be used, and the seconds of CPU time that everything within that limit has used so far."""

    cores: float
    seconds: float


class Memory(NamedTuple):
    """Bytes: the most there may be, and how many of them are in use; files that could be dropped at once are not."""

    limit: int
    used: int


def cpu_count(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """Cores that this process may keep busy, at least 1."""
    return max(1, math.ceil(_narrowest_quota(root, membership)[0]))


def memory_limit(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """Bytes of memory that this process may use."""
    return _narrowest_memory(root, membership)[0]


def cpu(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Cpu:
    """How much of the cores is used."""
    cores, group = _narrowest_quota(root, membership)
    seconds = None if group is None else _cpu_seconds(root, group)
    return Cpu(cores, _host_cpu_seconds() if seconds is None else seconds)


def memory(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Memory:
    """How much of the memory is used."""
    limit, group = _narrowest_memory(root, membership)
    used = None if group is None else _memory_used(group)
    if used is None:
        host = psutil.virtual_memory()
        used = host.total - host.available
    return Memory(limit, used)


def _narrowest_quota(root: Path, membership: Path) -> tuple[float, Path | None]:
    """Cores, and the group that they are the limit of; None for the host."""
    best: tuple[float, Path | None] = (float(len(_allowed_cpus())), None)
    for group in _groups(root, membership):
        quota = _quota(group)
        if quota is not None and quota < best[0]:
            best = quota, group
    return best


def _narrowest_memory(root: Path, membership: Path) -> tuple[int, Path | None]:
    """Bytes, and the group that they are the limit of; None for the host."""
    best: tuple[int, Path | None] = (psutil.virtual_memory().total, None)
    for group in _groups(root, membership):
        limit = _memory_limit(group)
        if limit is not None and limit < best[0]:
            best = limit, group
    return best


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


def _cpu_seconds(root: Path, group: Path) -> float | None:
    """In the first version of cgroups another controller counts, often in a directory of its own."""
    micros = _figure(_read(group / "cpu.stat"), "usage_usec")
    if micros is not None:
        return micros / 1e6
    twin = root / "cpuacct" / group.relative_to(root / "cpu") if group.is_relative_to(root / "cpu") else group
    for place in (group, twin):
        nanos = _read(place / "cpuacct.usage").strip()
        if nanos.isdigit():
            return int(nanos) / 1e9
    return None


def _host_cpu_seconds() -> float:
    """Of the cores that this process may run on."""
    times = psutil.cpu_times(percpu=True)
    busy = 0.0
    for number in _allowed_cpus():
        if number < len(times):
            of = times[number]
            busy += of.user + of.nice + of.system + getattr(of, "irq", 0.0) + getattr(of, "softirq", 0.0)
    return busy


def _allowed_cpus() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _memory_limit(group: Path) -> int | None:
    limit = _read(group / "memory.max").strip() or _read(group / "memory.limit_in_bytes").strip()
    return int(limit) if limit.isdigit() else None


def _memory_used(group: Path) -> int | None:
    """As `docker stats` has it."""
    used = _read(group / "memory.current").strip() or _read(group / "memory.usage_in_bytes").strip()
    if not used.isdigit():
        return None
    statistics = _read(group / "memory.stat")
    files = _figure(statistics, "total_inactive_file")
    if files is None:
        files = _figure(statistics, "inactive_file") or 0
    return max(0, int(used) - files)


def _figure(text: str, name: str) -> int | None:
    """The value of a line `name value`."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
