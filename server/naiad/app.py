"""The composition root: builds every object by hand, starts in order, drains and stops in reverse."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, ExceptHookArgs, Thread
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

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
from naiad.observability.logs import printable
from naiad.repository.catalog import candidates
from naiad.repository.check import inspect
from naiad.repository.loaders import Loaders
from naiad.repository.loading import Backends, Loader, Threads
from naiad.repository.manager import Manager
from naiad.repository.render import render
from naiad.settings import Settings

SWITCH_INTERVAL = 0.0005
"""Seconds that a thread may keep the interpreter while another wants it. At the default of 5 ms a model that keeps
the interpreter busy delays every wake-up of the wire by as much."""
LAST_WORDS_SECS = 1.0
"""How long the log may take for the last line of the process; whoever reads it may have stopped to."""

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
        self._engine = Engine()
        loader = Loader(
            _backends(settings.backend_options()),
            Threads(self._pool, DedicatedRunners(), self._timer, budget),
            settings.max_queue_size,
        )
        self._manager = Manager(
            self._engine,
            partial(candidates, settings.model_repository, loader),
            Loaders(settings.model_load_thread_count, self._timer, settings.model_load_timeout_secs),
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
            grpc_port = self._grpc.start()
        except OSError as error:
            raise CannotStart(_no_port("grpc", settings.grpc_address, settings.grpc_port, error)) from None
        log.info("gRPC on %s:%d", settings.grpc_address, grpc_port)
        try:
            http_port = self._http.start()
        except OSError as error:
            self._grpc.stop(0)
            raise CannotStart(_no_port("http", settings.http_address, settings.http_port, error)) from None
        log.info("HTTP on %s:%d", settings.http_address, http_port)
        self._manager.start()

    def settled(self, timeout: float | None = None) -> bool:
        """Wait for the end of the first pass of loading; False after `timeout` seconds."""
        return self._manager.settled(timeout)

    def index(self) -> tuple[IndexEntry, ...]:
        return self._engine.index(ready_only=False)

    def stop(self) -> bool:
        """Tell the clients, serve on for the delay, answer what was queued, close everything.

        False when requests still ran at the end of the exit timeout: what they use stays open, and only the end of
        the process ends them.
        """
        self._engine.retire()
        self._manager.freeze()
        time.sleep(self._settings.shutdown_delay_secs)
        end = time.monotonic() + self._settings.exit_timeout_secs
        self._engine.stop()
        answered = self._manager.drain(self._settings.exit_timeout_secs)
        self._grpc.stop(max(0.0, end - time.monotonic()))
        self._http.stop()
        if answered:
            self._pool.stop()
            self._manager.close()
            self._timer.stop()
        return answered


class Ending:
    """The end of the process. The first SIGTERM or SIGINT asks for it, the second ends the process with exit code 1.

    So does, `seconds` after the first, whatever hangs. One thread hears the signals and counts the time; it needs
    neither the main thread, which may miss a signal that comes just before it waits, nor the log.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked = Event()
        self._signals, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        Thread(target=self._watch, name="naiad-ending", daemon=True).start()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def wait(self) -> None:
        """Return when the process is asked to end."""
        self._asked.wait()

    def _watch(self) -> None:
        os.read(self._signals, 1)
        self._asked.set()
        again, _, _ = select.select([self._signals], [], [], self._seconds)
        if again:
            os._exit(1)
        leave(1, "stopping took longer than --exit-timeout-secs")


def run(settings: Settings) -> NoReturn:
    """Serve until SIGTERM or SIGINT, and end the process, with exit code 1 if that takes too long.

    Raises CannotStart.
    """
    _require_repositories(settings.model_repository)
    threading.excepthook = thread_ended
    app = App(settings)
    ending = Ending(settings.shutdown_delay_secs + settings.exit_timeout_secs)
    app.start()
    while not ending.asked and not app.settled(0.2):
        pass
    if not ending.asked:
        _show(app.index())
        log.info("ready")
    ending.wait()
    log.info("stopping")
    if not app.stop():
        leave(1, "requests still ran after --exit-timeout-secs")
    leave(0, "stopped")


def thread_ended(of: ExceptHookArgs) -> None:
    """End the process when one of the server's own threads does by an error: half a server helps nobody."""
    sys.__excepthook__(of.exc_type, of.exc_value or of.exc_type(), of.exc_traceback)
    name = of.thread.name if of.thread else ""
    if name.startswith("naiad-"):
        leave(1, f"the thread {name} ended by an error: {of.exc_value!r}")


def leave(code: int, last_words: str) -> NoReturn:
    """End the process at once. The log gets a second for the last words.

    The interpreter's own end would wait for some threads, and kill others inside native code, which aborts the
    process: loads that still run when the server stops are such threads.
    """
    speaker = Thread(target=_say, args=(logging.ERROR if code else logging.INFO, last_words), daemon=True)
    try:
        speaker.start()
        speaker.join(LAST_WORDS_SECS)
    finally:
        os._exit(code)


def _say(level: int, text: str) -> None:
    log.log(level, text)
    logging.shutdown()
    sys.stdout.flush()


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


def _no_port(wire: str, host: str, port: int, error: OSError) -> str:
    why = error.strerror or str(error)
    return f"cannot listen on {host}:{port} (--{wire}-address, --{wire}-port): {why}"


def _show(index: Sequence[IndexEntry]) -> None:
    """Print the index as a table. Names and reasons are texts of others: neither markup nor control characters."""
    table = Table("Model", "Version", "State", "Reason")
    for entry in index:
        table.add_row(*(Text(printable(cell)) for cell in entry))
    with suppress(OSError):
        Console(stderr=True).print(table)
