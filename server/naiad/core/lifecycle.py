"""The states of a version, its legal moves, and what to do next. Pure.

        SETTLED -> LOADING -> WARMING -> READY -> DRAINING -> UNLOADED
           ^          |          |        |  ^
           +----------+-> FAILED <+       |  +-- RESTARTING (its worker died)
                                          +-> STANDBY (kept for a rollback)

WAITING is what has been seen on the disk and is not to be loaded yet. Under one number at most one generation of
content serves, and at most one is coming. What the repository wants is stated; `next_actions` compares it with what
is. A version that serves is let go when all that are wanted serve; one that was removed, when any of them does; and
when nothing of the model is there any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple


class Phase(Enum):
    WAITING = "waiting"
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
    Phase.WAITING: frozenset({Phase.SETTLED}),
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
    Phase.WAITING: "UNAVAILABLE",
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

FIRST_RETRY = 5.0
LONGEST_RETRY = 300.0
"""Seconds from a failure to the next try: each wait is twice the one before."""


class IllegalMove(RuntimeError):
    """A version was told to move where it cannot go: a mistake in the server."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where one generation stands. `since` is in `time.monotonic` seconds; `reason` explains FAILED and UNLOADED."""

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


class Coming(NamedTuple):
    """Content that is not there yet. `retry_at`: when one that failed may be tried again; None while it has not."""

    identity: str
    failed: bool = False
    retry_at: float | None = None


class Held(NamedTuple):
    """What there is under one number: the identity of what serves, and what is to take its place."""

    serving: str | None = None
    coming: Coming | None = None


class Verb(Enum):
    LOAD = "load"
    """Begin to load what is wanted; whatever else was coming under the number is outdated."""
    DROP = "drop"
    """Give up what is coming: it is not wanted any more."""
    UNLOAD = "unload"


class Action(NamedTuple):
    verb: Verb
    version: int


def next_actions(
    wanted: Mapping[int, str],
    actual: Mapping[int, Held],
    now: float,
    *,
    waiting: Collection[int] = (),
    present: Collection[int] = (),
) -> list[Action]:
    """What to do now, newest version first; empty when all is as wanted or must be waited for.

    wanted: the identity of each version that is to serve. waiting: versions that may come to be wanted. present: those
    that have not been removed.
    """
    actions = [
        action
        for version in sorted({*wanted, *actual}, reverse=True)
        if (action := _about_coming(version, wanted.get(version), actual.get(version, Held()), now))
    ]
    serving = {version for version, held in actual.items() if held.serving is not None}
    unwanted = sorted(serving - wanted.keys(), reverse=True)
    actions += [Action(Verb.UNLOAD, version) for version in unwanted if _may_go(version, wanted, serving, present)]
    if not wanted and not waiting and not present:
        actions += [Action(Verb.UNLOAD, version) for version in unwanted]
    return actions


def _may_go(version: int, wanted: Collection[int], serving: Collection[int], present: Collection[int]) -> bool:
    """Whether an unwanted version that serves is replaced; one that fails to load costs none that was not removed."""
    replacing = [number in serving for number in wanted]
    return any(replacing) and (all(replacing) or version not in present)


def _about_coming(version: int, wanted: str | None, held: Held, now: float) -> Action | None:
    coming = held.coming
    if wanted is None or wanted == held.serving:
        return None if coming is None else Action(Verb.DROP, version)
    if coming is None or coming.identity != wanted:
        return Action(Verb.LOAD, version)
    if coming.failed and coming.retry_at is not None and coming.retry_at <= now:
        return Action(Verb.LOAD, version)
    return None


def retry_after(failures: int) -> float:
    """Seconds to wait after so many failures of the same content in a row, of which there is at least one."""
    return min(FIRST_RETRY * 2.0 ** min(failures - 1, 16), LONGEST_RETRY)
