"""What `/metrics` answers: one reading of everything there is to measure, as text.

A collector over snapshots: nothing is counted here, and nothing is shared by two servers of one process.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from naiad import __version__
from naiad.core.budget import Budget
from naiad.core.engine import Engine
from naiad.core.statistics import VersionStatistics
from naiad.observability import model_metrics, version_metrics
from naiad.observability.exposition import Block, Family, labels, text
from naiad.observability.version_metrics import FIRST_RESPONSE, NAIAD, TRITON, VersionMetrics

BYTES = Family("naiad_bytes_in_flight", "gauge", "Bytes of requests that are on their way.")
BYTES_LIMIT = Family("naiad_bytes_in_flight_limit", "gauge", "Bytes of requests that may be on their way.")
READY = Family(
    "naiad_server_ready", "gauge", "1 once the first pass of loading has ended, 0 before and while stopping."
)
BUILD = Family("naiad_build_info", "gauge", "Always 1; the labels say what runs.")
LOST = Family("naiad_access_log_lines_lost_total", "counter", "Lines of the access log that were given up.")

_BUILD_LABELS = labels({"version": __version__, "python": platform.python_version()})

Source = Callable[[], Iterable[Block]]
"""More to measure, told at each scrape."""


class Metrics:
    """Of one server; thread-safe.

    sources: further families, of the process and of its devices; called one scrape at a time. gpu_uuids: of the GPUs
    as instances number them, "" where it is not known. first_response: have Triton's histogram too. lines_lost: how
    many lines the access log gave up.
    """

    def __init__(
        self,
        engine: Engine,
        budget: Budget,
        sources: Iterable[Source] = (),
        *,
        gpu_uuids: Sequence[str] = (),
        first_response: bool = False,
        lines_lost: Callable[[], int] = lambda: 0,
    ) -> None:
        self._engine = engine
        self._budget = budget
        self._sources = tuple(sources)
        self._gpu_uuids = tuple(gpu_uuids)
        self._lines_lost = lines_lost
        self._versions = VersionMetrics((*TRITON, *((FIRST_RESPONSE,) if first_response else ()), *NAIAD))
        self._lock = Lock()

    def text(self) -> str:
        """Everything there is to tell now."""
        with self._lock:
            return text(self._blocks())

    def _blocks(self) -> Iterable[Block]:
        engine = self._engine
        ready = engine.ready()  # before the versions: a scrape that says ready has all that the server was ready with
        failures, unserved = version_metrics.unserved(engine.unserved)
        for family, lines in self._versions.blocks(engine.statistics("", None), self._gpu):
            yield family, [*unserved, *lines] if family == failures else lines
        yield from model_metrics.blocks(engine.histories())
        yield BYTES, [BYTES.sample("", self._budget.used)]
        yield BYTES_LIMIT, [BYTES_LIMIT.sample("", self._budget.limit)]
        yield READY, [READY.sample("", int(ready))]
        yield BUILD, [BUILD.sample(_BUILD_LABELS, 1)]
        yield LOST, [LOST.sample("", self._lines_lost())]
        for source in self._sources:
            yield from source()

    def _gpu(self, of: VersionStatistics) -> str:
        """The GPU that all of a version's instances are on, if it is one and is known."""
        if len(of.gpus) != 1 or of.gpus[0] >= len(self._gpu_uuids):
            return ""
        return self._gpu_uuids[of.gpus[0]]
