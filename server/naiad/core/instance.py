"""One executable's place on a device."""

from __future__ import annotations

from naiad.core.backend import Executable
from naiad.core.config import Device


class Instance:
    """Busy or free; who holds it runs. The version's lock guards the list of the free ones."""

    __slots__ = ("device", "executable", "name")

    def __init__(self, name: str, device: Device, executable: Executable) -> None:
        self.name = name
        self.device = device
        self.executable = executable
