"""What a process holds, seen from outside and inside, and whether it has become more. Linux.

What is compared are two counts of the same process at rest, with much work in between and before: the first work fills
caches, and starts threads that stay. `growth` says in words what there is too much of; nothing is a clean result.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.soak.probe import Told

MB = 2**20
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outside:
    """Of a process: its threads, open descriptors, and resident bytes."""

    threads: int
    descriptors: int
    resident: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """How much more there may be of each.

    objects: of any one type but those ignored. The rest is as Outside and Told have it.
    """

    threads: int = 0
    descriptors: int = 0
    resident: int = 4 * MB
    objects: int = 50
    blocks: int = 2000
    allocated: int = 4 * MB
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class State:
    """A process at a time, in seconds: what is seen from outside, and what it tells."""

    at: float
    outside: Outside
    told: Told


def outside(pid: int) -> Outside:
    process = Path("/proc") / str(pid)
    threads, descriptors = (len(list((process / what).iterdir())) for what in ("task", "fd"))
    return Outside(threads, descriptors, resident(pid))


def resident(pid: int) -> int:
    """Bytes of the process that are in memory."""
    found = _RESIDENT.search((Path("/proc") / str(pid) / "status").read_text())
    assert found is not None, f"process {pid} has no memory"
    return int(found.group(1)) * 1024


def slope(states: Sequence[State]) -> float:
    """Bytes a minute by which what is allocated grows in the second half, from its third quarter to its last.

    Of each quarter the state in the middle counts: now and then a thread holds what it has just worked on.
    """
    fourth = len(states) // 4
    third, last = states[-2 * fourth : -fourth], states[-fourth:]
    minutes = (_middle([one.at for one in last]) - _middle([one.at for one in third])) / 60
    allocated = [_middle([one.told["allocated"] for one in quarter]) for quarter in (third, last)]
    return (allocated[1] - allocated[0]) / minutes


def comes_back(states: Sequence[State]) -> bool:
    """Whether resident memory was as little in the second half as it had been in the first.

    What is free between what is not stays resident, so it goes up and down by itself; a leak only goes up.
    """
    half = len(states) // 2
    first, second = ([one.outside.resident for one in part] for part in (states[:half], states[half:]))
    return min(second) <= max(first)


def growth(before: State, after: State, allowed: Allowed) -> list[str]:
    """What there is more of than allowed. Runners do not count: their pool grows with the load, to a limit."""
    others = [state.outside.threads - state.told["runners"] for state in (before, after)]
    counts = {
        "threads": (others[0], others[1], allowed.threads),
        "descriptors": (before.outside.descriptors, after.outside.descriptors, allowed.descriptors),
        "resident bytes": (before.outside.resident, after.outside.resident, allowed.resident),
        "blocks": (before.told["blocks"], after.told["blocks"], allowed.blocks),
        "allocated bytes": (before.told["allocated"], after.told["allocated"], allowed.allocated),
    }
    for kind in after.told["objects"].keys() - allowed.ignored:
        of_kind = (before.told["objects"].get(kind, 0), after.told["objects"][kind], allowed.objects)
        counts[f"objects of {kind}"] = of_kind
    return [f"{what}: {old} -> {new}" for what, (old, new, more) in counts.items() if new > old + more]


def _middle(numbers: Sequence[float]) -> float:
    return statistics.median(numbers)
