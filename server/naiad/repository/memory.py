"""Whether a version fits beside what serves, and giving memory back when one has gone."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from naiad.core.config import Device, InstanceGroup, Kind
from naiad.core.errors import ResourceExhausted

LARGE = 64 * 2**20
"""Bytes of a version's files below which nobody asks for free memory."""
TRIMMED = 8 * 2**20
"""Bytes of a version's files from which on the memory that it leaves is given back to the system at once."""

Free = Callable[[Device], int | None]
"""The bytes that are free on a device, None where that is not known. Any thread."""


def size_of(version: Path) -> int:
    """Bytes of the files in a version's directory: the least that it needs where it is loaded."""
    return sum(path.stat().st_size for path in version.rglob("*") if path.is_file())


def check_room(size: int, groups: Iterable[InstanceGroup], free: Free) -> None:
    """Raise ResourceExhausted where files of `size` bytes cannot be loaded into what is free on a device."""
    if size < LARGE:
        return
    devices = {device for group in groups for device in _devices(group)}
    for device in sorted(devices, key=str):
        room = free(device)
        if room is not None and size > room:
            raise ResourceExhausted(
                f"its files have {_mb(size)}, and {_mb(room)} are free on {device}: give the server more memory, or "
                "let it unload what serves first (--swap=replace, or the parameter swap of the config)"
            )


def _devices(group: InstanceGroup) -> list[Device]:
    return [Device(Kind.GPU, gpu) for gpu in group.gpus] or [Device(Kind.CPU)]


def _mb(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def trim() -> None:
    """Give what the C library keeps of freed memory back to the system, where it can."""
    if _trim is not None:
        _trim(0)


def _find_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


_trim = _find_trim()
