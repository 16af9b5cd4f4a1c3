"""The composition root: builds every object by hand, starts in order, drains and stops in reverse."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event
from threading import Timer as Alarm
from types import FrameType

from rich.console import Console
from rich.table import Table

from naiad import backends
from naiad.core.backend import Backend
from naiad.core.budget import Budget
from naiad.core.engine import Engine, IndexEntry
from naiad.core.runners import DedicatedRunners, RunnerPool
from naiad.core.timer import Timer
from naiad.core.waiter import ConditionWaiter
from naiad.frontends.grpc.aio import AioTransport
from naiad.frontends.grpc.service import GrpcService
from naiad.frontends.grpc.transport import TransportSettings
from naiad.frontends.http.server import HttpServer
from naiad.observability import cgroup
from naiad.repository.catalog import candidates
from naiad.repository.check import inspect
from naiad.repository.loading import Backends, Loader, Threads
from naiad.repository.manager import Manager
from naiad.repository.render import render
from naiad.settings import Settings

SWITCH_INTERVAL = 0.0005
"""Seconds that a thread may keep the interpreter while another wants it. At the default of 5 ms a model that keeps
the interpreter busy delays every wake-up of the wire by as much."""

log = logging.getLogger(__name__)


class CannotStart(Exception):
    """The surroundings do not allow a start; the text says what is in the way."""


class App:
    """One server: `start` and `stop`, both once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        budget = Budget(settings.max_bytes_in_flight or cgroup.memory_limit() // 4)
        self._timer = Timer()
        self._pool = RunnerPool(ConditionWaiter(), self._timer, max(4, 2 * cgroup.cpu_count()))
        self._engine = Engine(budget)
        loader = Loader(
            _backends(settings.backend_options()),
            Threads(self._pool, DedicatedRunners(), self._timer, budget),
            settings.max_queue_size,
        )
        self._manager = Manager(
            self._engine, partial(candidates, settings.model_repository, loader), settings.model_load_thread_count
        )
        self._grpc = GrpcService(
            self._engine,
            AioTransport(
                TransportSettings(
                    host=settings.grpc_address,
                    port=settings.grpc_port,
                    max_message_size=settings.grpc_max_message_size,
                )
            ),
        )
        self._http = HttpServer(self._engine, settings.http_address, settings.http_port)

    def start(self) -> None:
        """Listen, and begin to load; raises CannotStart."""
        settings = self._settings
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._timer.start()
        self._pool.start()
        try:
            log.info("gRPC on %s:%d", settings.grpc_address, self._grpc.start())
        except OSError as error:
            raise CannotStart(_no_port("grpc", settings.grpc_address, settings.grpc_port, error)) from None
        try:
            log.info("HTTP on %s:%d", settings.http_address, self._http.start())
        except OSError as error:
            self._grpc.stop(0)
            raise CannotStart(_no_port("http", settings.http_address, settings.http_port, error)) from None
        self._manager.start()

    def settled(self, timeout: float | None = None) -> bool:
        """Wait for the end of the first pass of loading; False after `timeout` seconds."""
        return self._manager.settled(timeout)

    def index(self) -> tuple[IndexEntry, ...]:
        return self._engine.index(ready_only=False)

    def stop(self) -> None:
        """Tell the clients, serve on for the delay, answer what was queued, close everything."""
        self._engine.retire()
        self._manager.freeze()
        time.sleep(self._settings.shutdown_delay_secs)
        patience = self._settings.exit_timeout_secs
        self._engine.stop()
        self._manager.drain(patience)
        self._grpc.stop(patience)
        self._http.stop()
        self._pool.stop()
        self._manager.close()
        self._timer.stop()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. A second signal, or too long a stop, ends the process with exit code 1."""
    _require_repositories(settings.model_repository)
    app = App(settings)
    ended = _signals()
    app.start()
    while not ended.is_set() and not app.settled(0.2):
        pass
    if not ended.is_set():
        Console(stderr=True).print(_table(app.index()))
        log.info("ready")
    ended.wait()
    log.info("stopping")
    overdue = Alarm(settings.shutdown_delay_secs + settings.exit_timeout_secs, _give_up)
    overdue.daemon = True
    overdue.start()
    app.stop()
    overdue.cancel()
    log.info("stopped")


def check_repositories(roots: Sequence[Path], *, as_json: bool) -> tuple[str, bool]:
    """What `naiad check` prints, and whether everything would be served."""
    inspection = inspect(roots, _backends({}))
    text = json.dumps(inspection.as_json(), indent=2) if as_json else render(inspection)
    return text, inspection.healthy


def _backends(options: dict[str, dict[str, str]]) -> Backends:
    cpus = cgroup.cpu_count()

    def create(name: str) -> Backend:
        return backends.create(name, backends.BackendOptions(cpus, settings=options.get(name, {})))

    return Backends(create, backends.gpus)


def _require_repositories(roots: Sequence[Path]) -> None:
    if not roots:
        raise CannotStart("no repository is given, expected --model-repository DIRECTORY")
    for root in roots:
        if not root.is_dir():
            found = "is not a directory" if root.exists() else "does not exist"
            raise CannotStart(f"--model-repository: {root} {found}, expected a directory of models")


def _signals() -> Event:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process."""
    ended = Event()

    def handle(_: int, __: FrameType | None) -> None:
        if ended.is_set():
            os._exit(1)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return ended


def _give_up() -> None:
    log.error("stopping took longer than --exit-timeout-secs")
    os._exit(1)


def _no_port(wire: str, host: str, port: int, error: OSError) -> str:
    why = error.strerror or str(error)
    return f"cannot listen on {host}:{port} (--{wire}-address, --{wire}-port): {why}"


def _table(index: Sequence[IndexEntry]) -> Table:
    table = Table("Model", "Version", "State", "Reason")
    for entry in index:
        table.add_row(entry.name, entry.version, entry.state, entry.reason)
    return table
