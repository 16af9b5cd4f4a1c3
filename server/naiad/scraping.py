"""`/metrics` on a port of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from naiad.core.budget import Budget
from naiad.core.engine import Engine
from naiad.frontends.http import metrics as metrics_page
from naiad.frontends.http.server import HttpServer
from naiad.observability import gpus, machine, metrics, metrics_config
from naiad.observability.exposition import CONTENT_TYPE
from naiad.settings import Settings
from naiad.starting import listening

log = logging.getLogger(__name__)


class MetricsServer:
    """`/metrics` on a port of its own, and the thread that reads the GPUs for it: `start` and `stop`, both once."""

    def __init__(
        self, settings: Settings, engine: Engine, budget: Budget, access_lines_lost: Callable[[], int]
    ) -> None:
        self._host, self._port = settings.metrics_address, settings.metrics_port
        interval = settings.metrics_interval_ms / 1000
        config = metrics_config.parse(settings.metrics_config)
        for warning in config.warnings:
            log.warning("%s", warning)
        self._gpus = gpus.find(interval) if settings.allow_gpu_metrics else None
        sources: list[metrics.Source] = [machine.Process().blocks, machine.pinned_memory]
        if settings.allow_cpu_metrics:
            sources.append(machine.Machine(interval).blocks)
        if self._gpus is not None:
            sources.append(self._gpus.blocks)
        collector = metrics.Metrics(
            engine,
            budget,
            sources,
            gpu_uuids=self._gpus.visible(os.environ) if self._gpus is not None else (),
            first_response=config.first_response,
            lines_lost=access_lines_lost,
        )
        self._server = HttpServer(
            metrics_page.application(collector.text, CONTENT_TYPE), "naiad-metrics", self._host, self._port
        )

    def start(self) -> None:
        """Listen; raises CannotStart."""
        port = listening("metrics", self._host, self._port, self._server.start)
        log.info("metrics on %s:%d", self._host, port)
        if self._gpus is not None:
            self._gpus.start()

    def free(self, gpu: int) -> int | None:
        """Bytes that are free on a GPU; None where that cannot be known."""
        return None if self._gpus is None else self._gpus.free(gpu, os.environ)

    def stop(self) -> None:
        self._server.stop()
        if self._gpus is not None:
            self._gpus.stop()
