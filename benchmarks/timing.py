"""Short functions timed against each other in one process: in turn, so that what else the machine does hits all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from timeit import Timer
from typing import NamedTuple

SLICE_SECS = 0.02
"""How long one function is repeated before its turn is over."""


class Figure(NamedTuple):
    """Microseconds per call, or per request: the least and the median of all rounds."""

    name: str
    least: float
    median: float


def interleaved(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Figure]:
    """Time each function `rounds` times, in turn, after a first turn that chooses its repetitions."""
    timers = {name: Timer(function) for name, function in functions.items()}
    repeated = {name: _repetitions(timer) for name, timer in timers.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer.timeit(repeated[name]) / repeated[name] * 1e6)
    return {name: Figure(name, min(values), statistics.median(values)) for name, values in times.items()}


def _repetitions(timer: Timer) -> int:
    """How often a function runs in a slice, at least once."""
    start = time.perf_counter()
    count = 0
    while time.perf_counter() - start < SLICE_SECS:
        timer.timeit(1)
        count += 1
    return count
