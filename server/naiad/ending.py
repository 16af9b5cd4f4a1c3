"""The end of the process: who asks for it, and how it comes about whatever hangs."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
from threading import Event, ExceptHookArgs, Thread
from typing import NoReturn

LAST_WORDS_SECS = 1.0
"""How long the log may take for the last line of the process; whoever reads it may have stopped to."""

log = logging.getLogger(__name__)


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


def thread_ended(of: ExceptHookArgs) -> None:
    """End the process when one of the server's own threads does by an error: half a server helps nobody."""
    name = of.thread.name if of.thread else ""
    error = of.exc_value or of.exc_type()
    log.error("an error that nobody caught ended a thread", exc_info=(of.exc_type, error, of.exc_traceback))
    if name.startswith("naiad-"):
        leave(1, f"the thread {name} ended by an error: {error!r}")


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
