"""Whether a version fits beside what serves, and from which size on its memory is given back when it has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from naiad.core.config import Device, InstanceGroup, Kind
from naiad.core.errors import ResourceExhausted

LARGE = 64 * 2**20
"""Bytes of a version's files below which nobody asks for free memory."""
GIVEN_BACK = 8 * 2**20
"""Bytes of a version's files from which on the memory that it leaves goes back to the system at once."""

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
