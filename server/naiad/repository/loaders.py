"""The threads that load versions, and the time that a load may take.

Every load ends once: with a version, with the reason why there is none, or given up at its time limit. A load that
was given up cannot be stopped: its thread is left to it, another takes the thread's place, and what it brings after
all is closed. Whatever a model's own code raises (SystemExit, a panic of an extension) ends its load and no thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from threading import Lock, Thread
from traceback import format_exception_only

from naiad.core.errors import NaiadError
from naiad.core.timer import Timer
from naiad.repository.closing import close
from naiad.repository.loading import Loaded

STOPPING = "the server is stopping"
GIVEN_UP = "loading was given up"
"""How the reason begins of a load that took too long: nothing can end it, so the same is not begun again."""

Outcome = Loaded | str
"""A version, or why there is none; of a job that loads none nothing, or why it failed."""

log = logging.getLogger(__name__)


class Loaders:
    """threads: how many loads run at the same time. timeout: seconds that one may take, 0 for no limit.

    retries: how often a load is tried again after it failed, within its time.

    `start` and `stop` once each; all else may be called from any thread.
    """

    def __init__(self, threads: int, timer: Timer, timeout: float = 0, retries: int = 0) -> None:
        self._threads = threads
        self._timer = timer
        self._timeout = timeout
        self._retries = retries
        self._loads: SimpleQueue[_Load | None] = SimpleQueue()
        self._names = count()
        self._lock = Lock()
        self._missing = 0
        self._frozen = False

    def start(self) -> None:
        for _ in range(self._threads):
            self._start_thread()

    def load(self, subject: str, load: Callable[[], Loaded], tell: Callable[[Outcome], None]) -> None:
        """Have `load` called on a loader thread; `tell` hears the outcome, from any thread, and must only enqueue."""
        self._loads.put(_Load(subject, load, tell, self._give_up))

    def run(self, subject: str, job: Callable[[], None], tell: Callable[[str], None]) -> None:
        """Have `job` called on a loader thread; `tell` hears why it failed, or nothing, and must only enqueue."""

        def run() -> str:
            job()
            return ""

        def ended(outcome: Outcome) -> None:
            tell(str(outcome))

        self._loads.put(_Load(subject, run, ended, self._give_up))

    def freeze(self) -> None:
        """Begin no more loads, and close what the running ones bring; both are told STOPPING."""
        self._frozen = True

    def stop(self) -> None:
        """Let the threads end when they come back; loads that still run are left to end by themselves."""
        for _ in range(self._threads):
            self._loads.put(None)

    def _start_thread(self) -> None:
        """RuntimeError: there can be no more threads."""
        Thread(target=self._work, name=f"naiad-loader-{next(self._names)}", daemon=True).start()

    def _work(self) -> None:
        while (load := self._loads.get()) is not None:
            if not self._run(load) and self._is_replaced():
                return

    def _run(self, load: _Load) -> bool:
        """Run a load to its end; False when it was given up before."""
        if self._frozen:
            return load.end(STOPPING)
        if self._timeout:
            load.expires_ns = time.monotonic_ns() + int(self._timeout * 1e9)
            self._timer.add(load)
        outcome = self._try(load)
        if self._timeout:
            self._timer.discard([load])
        if self._frozen and not isinstance(outcome, str):
            close(outcome, load.subject)
            outcome = STOPPING
        return load.end(outcome)

    def _try(self, load: _Load) -> Outcome:
        outcome = load.run()
        for _ in range(self._retries):
            if not isinstance(outcome, str) or not outcome or load.ended or self._frozen:
                break
            log.warning("%s failed to load and is tried again (--model-load-retry-count): %s", load.subject, outcome)
            outcome = load.run()
        return outcome

    def _give_up(self, load: _Load) -> None:
        """End a load whose time is over, and have another thread take the place of its own."""
        if load.end(f"{GIVEN_UP} after {self._timeout:g} s (--model-load-timeout-secs)"):
            self._replace(load.subject)

    def _replace(self, subject: str) -> None:
        with self._lock:
            try:
                self._start_thread()
            except RuntimeError:
                self._missing += 1
                log.exception("no thread takes the place of the one that loads %s", subject)

    def _is_replaced(self) -> bool:
        """Whether a thread that comes back from a load that was given up is one too many."""
        with self._lock:
            if not self._missing:
                return True
            self._missing -= 1
            return False


class _Load:
    """One load on its way, and an entry of the timer."""

    __slots__ = ("_ended", "_give_up", "_load", "_lock", "_tell", "expires_ns", "subject")

    def __init__(
        self,
        subject: str,
        load: Callable[[], Outcome],
        tell: Callable[[Outcome], None],
        give_up: Callable[[_Load], None],
    ) -> None:
        self.subject = subject
        self.expires_ns: int | None = None
        self._load = load
        self._tell = tell
        self._give_up = give_up
        self._lock = Lock()
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether it has been told how the load ended."""
        return self._ended

    def run(self) -> Outcome:
        """Load, whatever it takes."""
        try:
            return self._load()
        except NaiadError as error:
            return str(error)
        except BaseException as error:  # what a model's own code raises is not to end a thread of the server
            log.exception("loading %s", self.subject)
            return "".join(format_exception_only(error)).strip()

    def end(self, outcome: Outcome) -> bool:
        """Tell how it ended; False, and what was loaded is closed, when that was told before."""
        with self._lock:
            first, self._ended = not self._ended, True
        if first:
            self._tell(outcome)
        elif not isinstance(outcome, str):
            log.warning("%s was loaded after it had been given up; it is closed", self.subject)
            close(outcome, self.subject)
        return first

    def expire(self) -> None:
        """Be given up; the timer calls it."""
        self._give_up(self)
