"""What has become of models and their versions, as immutable values: for metrics, the status and whoever wants to know.

Times of the day are in seconds since 1970, durations in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from naiad.core.histogram import Histogram
from naiad.core.lifecycle import Phase

LIFE_NS = tuple(int(seconds * 1e9) for seconds in (0.01, 0.1, 0.5, 1, 5, 15, 60, 300))
"""Bounds for loads and drains: from a tiny model on an idle machine to one that is given up."""
_NONE = Histogram(LIFE_NS, (0,) * (len(LIFE_NS) + 1), 0)


class Coming(NamedTuple):
    """What is to take the place of a version that serves. retry_at: when it is tried again after it failed."""

    phase: Phase
    identity: str
    since: float
    reason: str = ""
    retry_at: float | None = None


class Standing(NamedTuple):
    """How one version stands.

    phase, identity (of its content), since: of what serves under its number; where nothing does, of what is to.
    reason: why it has failed, was unloaded or waits. retry_at: when a failed one is tried again. coming: beside one
    that serves, what is to take its place. load_seconds: how long the last load took that was well.
    """

    phase: Phase
    identity: str = ""
    since: float = 0
    reason: str = ""
    retry_at: float | None = None
    coming: Coming | None = None
    load_seconds: float | None = None


class ModelHistory(NamedTuple):
    """What has become of a model since the server started.

    loads, load_failures: of all versions. swaps: how often requests without a version went to another one than before,
    not counting the first pass of loading. rollbacks: how often they went back, because of errors. load_ns, drain_ns:
    how long each load took that was well, and each drain. problem: why nothing of the model can be served.
    """

    name: str
    versions: Mapping[int, Standing] = MappingProxyType({})
    loads: int = 0
    load_failures: int = 0
    swaps: int = 0
    rollbacks: int = 0
    load_ns: Histogram = _NONE
    drain_ns: Histogram = _NONE
    problem: str = ""
