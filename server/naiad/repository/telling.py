"""What the log says of a version that goes from one phase to another: one event for each move.

As JSON an event has the fields `model`, `version`, `from`, `to`, `reason` and `seconds` (in the phase before).
"""

from __future__ import annotations

import logging

from naiad.core.lifecycle import Phase, Record
from naiad.repository.generations import Generation

log = logging.getLogger(__name__)

_QUIET = frozenset({Phase.LOADING, Phase.WARMING, Phase.DRAINING})
"""Phases that are told at the level debug: they pass, and what comes of them is told."""
_TEXTS = {
    Phase.LOADING: "is loading",
    Phase.WARMING: "is warming up",
    Phase.STANDBY: "stands by for a rollback",
    Phase.DRAINING: "takes no more requests",
    Phase.UNLOADED: "is unloaded",
}


def moved(model: str, generation: Generation, before: Record) -> None:
    """Log that a generation went to where it stands now."""
    version, after = generation.number, generation.record
    fields = {
        "model": model,
        "version": version,
        "from": before.phase.value,
        "to": after.phase.value,
        "reason": after.reason,
        "seconds": round(after.since - before.since, 6),
    }
    log.log(
        _level(after.phase, generation.failures),
        "model %s version %d %s",
        model,
        version,
        _text(before, after, generation.load_seconds),
        extra=fields,
    )


def _level(phase: Phase, tries: int) -> int:
    if phase is Phase.FAILED:
        return logging.ERROR if tries <= 1 else logging.WARNING
    return logging.DEBUG if phase in _QUIET else logging.INFO


def _text(before: Record, after: Record, load_seconds: float | None) -> str:
    if after.phase is Phase.READY:
        return "serves again" if before.phase is Phase.STANDBY else f"is ready after {load_seconds or 0:.3f} s"
    if after.phase is Phase.FAILED:
        return f"failed to load: {after.reason}"
    return _TEXTS.get(after.phase, f"is {after.phase.value}")
