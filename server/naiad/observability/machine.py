"""How busy the machine is that this process may use: its CPU, its memory, and the process itself.

CPU and memory are read again at a scrape that comes an interval or more after the last reading; until then the last
one is told. Nothing runs between scrapes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.process_collector import ProcessCollector

from naiad.observability import cgroup
from naiad.observability.cgroup import Cpu, Memory
from naiad.observability.exposition import Block, Family, Kind

UTILIZATION = Family("nv_cpu_utilization", "gauge", "CPU utilization rate [0.0 - 1.0]")
MEMORY_TOTAL = Family("nv_cpu_memory_total_bytes", "gauge", "CPU total memory (RAM), in bytes")
MEMORY_USED = Family("nv_cpu_memory_used_bytes", "gauge", "CPU used memory (RAM), in bytes")
PINNED_TOTAL = Family("nv_pinned_memory_pool_total_bytes", "gauge", "Pinned memory pool total memory size, in bytes")
PINNED_USED = Family("nv_pinned_memory_pool_used_bytes", "gauge", "Pinned memory pool used memory size, in bytes")
CORES = Family("naiad_cpu_limit_cores", "gauge", "Cores that this process may keep busy.")


class Use(NamedTuple):
    """utilization: of the cores, 0 to 1, between the last two readings; 0 before there are two."""

    cores: float
    utilization: float
    memory: Memory


class Machine:
    """Not thread-safe. interval: seconds that a reading stays good for."""

    def __init__(
        self,
        interval: float,
        cpu: Callable[[], Cpu] = cgroup.cpu,
        memory: Callable[[], Memory] = cgroup.memory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = interval
        self._cpu = cpu
        self._memory = memory
        self._clock = clock
        self._read_at = clock()
        self._last = cpu()
        self._use = Use(self._last.cores, 0.0, memory())

    def use(self) -> Use:
        now = self._clock()
        if now - self._read_at >= self._interval:
            self._use = self._read(now - self._read_at)
            self._read_at = now
        return self._use

    def _read(self, elapsed: float) -> Use:
        before, self._last = self._last, self._cpu()
        busy = (self._last.seconds - before.seconds) / (elapsed * self._last.cores)
        return Use(self._last.cores, min(1.0, max(0.0, busy)), self._memory())

    def blocks(self) -> Iterable[Block]:
        use = self.use()
        yield UTILIZATION, [UTILIZATION.sample("", use.utilization)]
        yield MEMORY_TOTAL, [MEMORY_TOTAL.sample("", use.memory.limit)]
        yield MEMORY_USED, [MEMORY_USED.sample("", use.memory.used)]
        yield CORES, [CORES.sample("", use.cores)]


def pinned_memory() -> Iterable[Block]:
    """Triton's pool of pinned memory, which there is none of here."""
    yield PINNED_TOTAL, [PINNED_TOTAL.sample("", 0)]
    yield PINNED_USED, [PINNED_USED.sample("", 0)]


class Process:
    """The standard families of this process, as every Prometheus client has them."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)

    def blocks(self) -> Iterable[Block]:
        return [_block(metric) for metric in self._collector.collect()]


def _block(metric: Metric) -> Block:
    """A family of one sample without labels."""
    (sample,) = metric.samples
    kind: Kind = "counter" if metric.type == "counter" else "gauge"
    family = Family(sample.name, kind, metric.documentation)
    return family, [family.sample("", sample.value)]
