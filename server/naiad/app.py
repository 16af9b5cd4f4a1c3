"""The composition root: builds every object by hand, starts in order, drains and stops in reverse."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from naiad import parts
from naiad.core.budget import Budget
from naiad.core.config import Device, Kind
from naiad.core.dedicated import DedicatedRunners
from naiad.core.engine import Engine, IndexEntry
from naiad.core.runners import RunnerPool
from naiad.core.timer import Timer
from naiad.core.waiting import WaitingRoom
from naiad.ending import LAST_WORDS_SECS, Ending, leave, thread_ended
from naiad.frontends.grpc.service import GrpcService
from naiad.frontends.http import health
from naiad.frontends.http.server import HttpServer
from naiad.observability import cgroup, logs
from naiad.observability.logs import printable
from naiad.repository.check import inspect
from naiad.repository.keeping import Keeper, Mode, Pace
from naiad.repository.loaders import Loaders
from naiad.repository.loading import Loader, Threads
from naiad.repository.manager import Manager
from naiad.repository.render import Detail, render
from naiad.scraping import MetricsServer
from naiad.settings import Settings
from naiad.starting import (
    CannotStart,
    backends_with,
    bad_options,
    bad_repositories,
    keep_memory,
    listening,
    place,
    unused,
)

SWITCH_INTERVAL = 0.0005
"""Seconds that a thread may keep the interpreter while another wants it. At the default of 5 ms a model that keeps
the interpreter busy delays every wake-up of the wire by as much."""

log = logging.getLogger(__name__)


class App:
    """One server: `start` and `stop`, both once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        wired = parts.wired(settings)
        budget = Budget(wired.counter)
        self._timer = Timer()
        self._pool = RunnerPool(wired.waiter, self._timer, max(4, 2 * cgroup.cpu_count()))
        self._access = parts.access_log(settings)
        self._engine = Engine(self._access)
        loader = Loader(
            backends_with(settings.backend_options()),
            Threads(self._pool, DedicatedRunners(), self._timer, budget, self._access),
            settings.max_queue_size,
            self._free,
        )
        self._manager = Manager(
            self._engine,
            Loaders(
                settings.model_load_thread_count,
                self._timer,
                settings.model_load_timeout_secs,
                settings.model_load_retry_count,
            ),
            partial(WaitingRoom, timer=self._timer, budget=budget, failed=self._engine.refused),
            strict=settings.strict_readiness,
            retries=settings.model_control_mode == "poll",
            trust=parts.trust(settings),
        )
        self._keeper = Keeper(
            parts.survey(settings, loader),
            self._manager,
            Mode(settings.model_control_mode),
            Pace(settings.repository_settle_secs, settings.repository_poll_secs),
            code=settings.allow_code_upload,
        )
        if self._keeper.commands is not None:
            self._engine.obey(self._keeper.commands)
        self._grpc = GrpcService(self._engine, wired.transport, settings.id, settings.model_control_mode)
        self._http = HttpServer(
            health.application(self._engine),
            "naiad-http",
            settings.http_address,
            settings.http_port,
            reuse_port=settings.reuse_http_port,
        )
        self._metrics: MetricsServer | None = None
        if settings.allow_metrics:
            access = self._access
            self._metrics = MetricsServer(settings, self._engine, budget, lambda: access.lost if access else 0)

    def start(self) -> None:
        """Listen, and begin to load; raises CannotStart."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        keep_memory()
        self._timer.start()
        self._pool.start()
        with ExitStack() as undo:
            self._listen(undo)
            undo.pop_all()
        self._manager.start()
        self._keeper.start()

    def _free(self, device: Device) -> int | None:
        """Bytes of memory that are free where a version is to be loaded."""
        if device.kind is Kind.CPU:
            memory = cgroup.memory()
            return max(0, memory.limit - memory.used)
        return self._metrics.free(device.id) if self._metrics is not None else None

    def _listen(self, undo: ExitStack) -> None:
        settings = self._settings
        if settings.allow_grpc:
            port = listening("grpc", settings.grpc_address, settings.grpc_port, self._grpc.start)
            undo.callback(self._grpc.stop, 0)
            log.info("gRPC on %s%s", place(settings.grpc_address, port), ", over TLS" if settings.uses_tls else "")
        if settings.allow_http:
            port = listening("http", settings.http_address, settings.http_port, self._http.start)
            undo.callback(self._http.stop)
            log.info("HTTP on %s:%d (health only: inference over HTTP is not served yet)", settings.http_address, port)
        if self._metrics is not None:
            self._metrics.start()

    def settled(self, timeout: float | None = None) -> bool:
        """Wait for the end of the first pass of loading; False after `timeout` seconds."""
        return self._manager.settled(timeout)

    def failures(self) -> tuple[IndexEntry, ...]:
        """What is to be served and could not be loaded."""
        return self._manager.failures()

    def index(self) -> tuple[IndexEntry, ...]:
        return self._engine.index(ready_only=False)

    def stop(self) -> bool:
        """Tell the clients, serve on for the delay, answer what was queued, close everything.

        False when requests still ran at the end of the exit timeout: what they use stays open, and only the end of
        the process ends them.
        """
        self._engine.retire()
        self._manager.freeze()
        self._keeper.stop()
        time.sleep(self._settings.shutdown_delay_secs)
        timeout = parts.exit_timeout(self._settings)
        end = time.monotonic() + timeout
        self._engine.stop()
        if self._access is not None:
            self._access.hurry()
        answered = self._manager.drain(timeout)
        if self._settings.allow_grpc:
            self._grpc.stop(max(0.0, end - time.monotonic()))
        if self._settings.allow_http:
            self._http.stop()
        if answered:
            self._pool.stop()
            self._manager.close()
            self._timer.stop()
        if self._access is not None:
            self._access.close(min(LAST_WORDS_SECS, max(0.0, end - time.monotonic())))
        if self._metrics is not None:
            self._metrics.stop()
        return answered


def run(settings: Settings) -> NoReturn:
    """Serve until SIGTERM or SIGINT, and end the process, with exit code 1 if that takes too long.

    Raises CannotStart.
    """
    options = settings.backend_options()
    in_the_way = [
        *bad_repositories(settings.model_repository, settings.origin("model_repository")),
        *bad_options(options, settings.origin("backend_config")),
        *parts.bad_grpc(settings),
    ]
    if in_the_way:
        raise CannotStart("\n".join(in_the_way))
    for warning in (*settings.warnings, *unused(options)):
        log.warning("%s", warning)
    threading.excepthook = thread_ended
    app = App(settings)
    ending = Ending(settings.shutdown_delay_secs + parts.exit_timeout(settings))
    app.start()
    while not ending.asked and not app.settled(0.2):
        pass
    if not ending.asked:
        _settled(app, settings)
    ending.wait()
    log.info("stopping")
    if not app.stop():
        leave(1, "requests still ran after --exit-timeout-secs")
    leave(0, "stopped")


def _settled(app: App, settings: Settings) -> None:
    """Tell how the first pass of loading ended, and end the process where that is asked for."""
    if settings.log_format == "text":
        _show(app.index(), plain=settings.log_file is not None)
    if settings.exit_on_error and (failures := app.failures()):
        names = ", ".join(dict.fromkeys(printable(entry.name) for entry in failures))
        leave(1, f"could not be served, which ends the server (--exit-on-error): {names}")
    log.info("ready")


def check_repositories(settings: Settings, *, as_json: bool, detail: str) -> tuple[str, bool]:
    """What `naiad check` prints, and whether everything would be served. `detail`: auto, all or none of the models.

    Raises CannotStart for options that backends cannot use.
    """
    options = settings.backend_options()
    if in_the_way := [*bad_options(options, settings.origin("backend_config"))]:
        raise CannotStart("\n".join(in_the_way))
    for warning in unused(options):
        log.warning("%s", warning)
    inspection = inspect(settings.model_repository, backends_with(options), parts.asked(settings))
    text = json.dumps(inspection.as_json(), indent=2) if as_json else render(inspection, Detail(detail))
    return text, inspection.healthy


def _show(index: Sequence[IndexEntry], *, plain: bool) -> None:
    """Print the index as a table. Names and reasons are texts of others: neither markup nor control characters."""
    table = Table("Model", "Version", "State", "Reason")
    for entry in index:
        table.add_row(*(Text(printable(cell)) for cell in entry))
    console = Console(stderr=True, color_system=None if plain else "auto")
    with console.capture() as capture:
        console.print(table)
    logs.write(capture.get())
