"""The thread that closes versions which nobody uses any more, so that a slow or stuck one delays nothing but others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from naiad.repository.loading import Loaded

log = logging.getLogger(__name__)


class _Closing(NamedTuple):
    loaded: Loaded
    subject: str
    closed: Callable[[], None]


class Closer:
    """`start` and `stop` once each; `close` from any thread."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[_Closing | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="naiad-closer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close what waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    def close(self, loaded: Loaded, subject: str, closed: Callable[[], None] = lambda: None) -> None:
        """Have an idle version closed; `closed` is called after it, on this thread, and must only enqueue."""
        self._waiting.put(_Closing(loaded, subject, closed))

    def _work(self) -> None:
        while (closing := self._waiting.get()) is not None:
            close(closing.loaded, closing.subject)
            closing.closed()
            del closing  # nothing here keeps what was closed while the thread waits


def close(loaded: Loaded, subject: str) -> None:
    """Close what nobody uses; that one cannot be closed touches no other."""
    try:
        loaded.close()
    except BaseException:  # whatever a model's own code raises is not to end a thread of the server
        log.exception("closing %s", subject)
