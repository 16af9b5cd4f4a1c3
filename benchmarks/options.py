"""How much a run measures: the values that the command line chooses and every section gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what runs under callgrind imports no more than it needs
    from benchmarks.servers import Server


@dataclass(frozen=True, slots=True)
class Options:
    """rounds: how often each thing is measured, in turn with the others.

    seconds: about how long one run over a wire, or of a bare loop, takes. fleets: how many models the starts that are
    timed have. calls: requests of the longer runs under callgrind. copied: bytes of tensors to send to a server whose
    copies are counted. others: further V2 servers to measure.
    """

    rounds: int = 5
    seconds: float = 2.0
    fleets: tuple[int, ...] = (300, 3000)
    calls: int = 12_000
    copied: int = 60_000_000
    others: tuple[Server, ...] = ()


DEFAULT = Options()
QUICK = Options(rounds=1, seconds=0.2, fleets=(30,), calls=2000, copied=2_000_000)
"""Shows that everything runs; its figures mean nothing."""
