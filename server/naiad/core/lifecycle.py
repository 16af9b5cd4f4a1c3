"""The states of a version, its legal moves, and what to do next. Pure.

        SETTLED -> LOADING -> WARMING -> READY -> DRAINING -> UNLOADED
           ^          |          |        |  ^
           +----------+-> FAILED <+       |  +-- RESTARTING (its worker died)
                                          +-> STANDBY (kept for a rollback)

What the repository wants is stated; `next_actions` compares it with what is. A version that serves is only let
go when one that is wanted serves, or when nothing is wanted any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple


class Phase(Enum):
    SETTLED = "settled"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    RESTARTING = "restarting"
    STANDBY = "standby"
    DRAINING = "draining"
    UNLOADED = "unloaded"
    FAILED = "failed"


MOVES: Mapping[Phase, frozenset[Phase]] = {
    Phase.SETTLED: frozenset({Phase.LOADING}),
    Phase.LOADING: frozenset({Phase.WARMING, Phase.READY, Phase.FAILED}),
    Phase.WARMING: frozenset({Phase.READY, Phase.FAILED}),
    Phase.READY: frozenset({Phase.DRAINING, Phase.STANDBY, Phase.RESTARTING}),
    Phase.RESTARTING: frozenset({Phase.READY, Phase.FAILED, Phase.DRAINING}),
    Phase.STANDBY: frozenset({Phase.READY, Phase.DRAINING}),
    Phase.DRAINING: frozenset({Phase.UNLOADED}),
    Phase.UNLOADED: frozenset({Phase.SETTLED, Phase.LOADING}),
    Phase.FAILED: frozenset({Phase.SETTLED, Phase.LOADING, Phase.UNLOADED}),
}

WIRE_STATES: Mapping[Phase, str] = {
    Phase.SETTLED: "LOADING",
    Phase.LOADING: "LOADING",
    Phase.WARMING: "LOADING",
    Phase.READY: "READY",
    Phase.RESTARTING: "LOADING",
    Phase.STANDBY: "UNAVAILABLE",
    Phase.DRAINING: "UNLOADING",
    Phase.UNLOADED: "UNAVAILABLE",
    Phase.FAILED: "UNAVAILABLE",
}
"""The protocol's states, coarser than ours."""


class IllegalMove(RuntimeError):
    """A version was told to move where it cannot go: a mistake in the server."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where one version stands. `since` is in `time.monotonic` seconds; `reason` explains FAILED and UNLOADED."""

    phase: Phase
    since: float
    reason: str = ""

    def to(self, phase: Phase, now: float, reason: str = "") -> Record:
        """The record after a move; raises IllegalMove."""
        if phase not in MOVES[self.phase]:
            raise IllegalMove(f"{self.phase.value} -> {phase.value}")
        return replace(self, phase=phase, since=now, reason=reason)

    @property
    def wire_state(self) -> str:
        return WIRE_STATES[self.phase]

    @property
    def serves(self) -> bool:
        return self.phase is Phase.READY


class Verb(Enum):
    LOAD = "load"
    UNLOAD = "unload"


class Action(NamedTuple):
    verb: Verb
    version: int


_LOADABLE = frozenset({Phase.SETTLED, Phase.UNLOADED})
_UNLOADABLE = frozenset({Phase.READY, Phase.STANDBY, Phase.RESTARTING})


def next_actions(wanted: frozenset[int], actual: Mapping[int, Record]) -> list[Action]:
    """What to do now, newest version first; empty when all is as wanted or must be waited for.

    FAILED versions are left alone: trying again is decided where the reason and the files are known.
    """
    loads = [
        Action(Verb.LOAD, version)
        for version in sorted(wanted, reverse=True)
        if version not in actual or actual[version].phase in _LOADABLE
    ]
    unwanted = [v for v, record in actual.items() if v not in wanted and record.phase in _UNLOADABLE]
    replaced = not wanted or any(v in actual and actual[v].serves for v in wanted)
    if not replaced:
        return loads
    return loads + [Action(Verb.UNLOAD, version) for version in sorted(unwanted, reverse=True)]
