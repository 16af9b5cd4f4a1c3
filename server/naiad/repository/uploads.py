"""From the files of a load command to a directory of them: written by a thread of its own, since that takes its time.

What waits to be written is bounded; who gives more is refused at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread

from naiad.core.errors import Internal, NaiadError, Rejected
from naiad.repository.overrides import OverrideDirectory, check_weights

log = logging.getLogger(__name__)

MOST_BYTES = 512 << 20
"""Bytes of files that may wait to be written; a single command may have more, if none waits."""

Written = Callable[[OverrideDirectory | NaiadError], None]
"""Hears, on the thread that writes, of the directory, or why there is none; must only enqueue."""


class Uploads:
    """`start` and `stop` once each."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = Lock()
        self._bytes = 0
        self._thread = Thread(target=self._work, name="naiad-uploads", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when all is written, or refused, that was given before."""
        self._asked.put(None)
        self._thread.join()

    def write(self, files: Mapping[str, bytes | memoryview], written: Written) -> None:
        """Have files written. Any thread, never blocks; raises Rejected when too much waits."""
        size = sum(map(len, files.values()))
        with self._lock:
            if self._bytes and self._bytes + size > MOST_BYTES:
                raise Rejected(
                    f"got {size} bytes of files while {self._bytes} bytes of other loads wait to be written, expected "
                    f"{MOST_BYTES} bytes at most"
                )
            self._bytes += size
        self._asked.put(partial(self._write, files, size, written))

    def _work(self) -> None:
        while (write := self._asked.get()) is not None:
            write()
            del write

    def _write(self, files: Mapping[str, bytes | memoryview], size: int, written: Written) -> None:
        try:
            written(_directory(files))
        except NaiadError as error:
            written(error)
        except Exception as error:
            log.exception("the files of a load command cannot be written")
            written(Internal(f"unexpected {type(error).__name__} while the given files are written"))
        finally:
            with self._lock:
                self._bytes -= size


def _directory(files: Mapping[str, bytes | memoryview]) -> OverrideDirectory:
    directory = OverrideDirectory(files)
    try:
        check_weights(directory)
    except BaseException:
        directory.discard()
        raise
    return directory
