"""How much memory a process comes to hold for a while, read from Linux."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

PROCESS = Path("/proc/self")
_RESET_PEAK = "5"


class Peak:
    """The growth of this process's resident memory within a block, at its highest, in bytes."""

    growth = 0

    def __enter__(self) -> Self:
        (PROCESS / "clear_refs").write_text(_RESET_PEAK)
        self._before = _bytes("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = _bytes("VmHWM") - self._before


def _bytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (PROCESS / "status").read_text(), re.MULTILINE)
    assert found, f"{PROCESS}/status has no {name}"
    return int(found.group(1)) * 1024
