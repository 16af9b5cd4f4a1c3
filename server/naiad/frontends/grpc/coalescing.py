"""How long an event loop gathers events before it hands them over: pure, one question per turn of the loop.

grpcio accepts one call per turn, so without gathering nearly every hand-over has a single event, and waking a runner
and being woken by it costs half as much again as all the rest of a call. Identity model, 2 cores, CPU relative to a
bare grpc.aio echo, concurrency 8 and 32: 1.6 without gathering, 1.3 with, and latency and throughput are better too.

The target is how many events a hand-over waits for, for at most TURNS turns (about half a millisecond where there is
nothing else to do). After PATIENCE hand-overs that met it, the next one tries for one more; one that gives up takes one
off. A lone client's target stays at 1: each try for 2 that fails doubles how long it takes to the next.
"""

from __future__ import annotations

TURNS = 96
PATIENCE = 4
LARGEST_PATIENCE = 1024


class Coalescing:
    """The state of one loop's gathering."""

    __slots__ = ("_met", "_patience", "_target", "_trying", "_turns")

    def __init__(self) -> None:
        self._target = 1
        self._turns = 0
        self._met = 0
        self._patience = PATIENCE
        self._trying = False

    def due(self, gathered: int) -> bool:
        """Whether to hand `gathered` events (at least one) over now; else ask again next turn."""
        if gathered >= self._target:
            self._meet(gathered)
        elif self._turns == TURNS:
            self._give_up()
        else:
            self._turns += 1
            return False
        self._turns = 0
        return True

    def _meet(self, gathered: int) -> None:
        if self._trying:
            self._patience = PATIENCE
        self._met += 1
        self._trying = self._met >= self._patience
        if self._trying:
            self._target = gathered + 1
            self._met = 0

    def _give_up(self) -> None:
        if self._trying and self._target == 2:
            self._patience = min(2 * self._patience, LARGEST_PATIENCE)
        self._target -= 1
        self._met = 0
        self._trying = False
