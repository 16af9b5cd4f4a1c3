"""A way out to a file descriptor that nobody waits for: a bounded buffer, and a thread that writes it.

Whoever puts something in holds a lock for as long as an append takes, whatever becomes of the reader at the other
end. The thread takes all there is, renders it and writes it at once, with that lock free. What finds the buffer full
is dropped and counted, and so is what cannot be written; the number is told as soon as something is written again.
The descriptor is used as it is found, blocking or not: other processes may share it.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from threading import Condition, Lock, Thread
from typing import Generic, NamedTuple, TextIO, TypeVar

Item = TypeVar("Item")
RENDERED_AT_ONCE = 256


class _Bulk(NamedTuple, Generic[Item]):
    """What is written at once, and how many events were lost just after it."""

    items: Sequence[Item]
    events: int
    lost: int


class Outlet(Generic[Item]):
    """Thread-safe. `put` neither blocks nor raises.

    render: makes the bytes of some items, whole lines; called on the outlet's thread. tell: the same for a number of
    events that were lost. limit: the sizes of the items that wait, summed; as much again may be in the writing.
    linger: seconds that the first of a bulk waits for others, which makes bulks of what comes in a stream.
    """

    def __init__(
        self,
        descriptor: int,
        render: Callable[[Sequence[Item]], bytes],
        tell: Callable[[int], bytes],
        *,
        thread: str,
        limit: int,
        linger: float = 0.0,
    ) -> None:
        self._pen = _Pen(descriptor)
        self._render = render
        self._tell = tell
        self._limit = limit
        self.linger = linger
        self._news = Condition()
        self._items: list[Item] = []
        self._size = 0
        self._accepted = 0
        self._taken = 0
        self._settled = 0
        self._lost = 0
        self._untold = 0
        self._hurry = False
        self._closed = False
        self._thread = Thread(target=self._run, name=thread, daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Events that were dropped or could not be written so far."""
        return self._lost

    def put(self, item: Item, size: int, events: int = 1) -> None:
        """Have `item`, which stands for `events` events, written."""
        with self._news:
            if self._closed or self._size + size > self._limit:
                self._lose(events)
                return
            if not self._items:
                self._news.notify_all()
            self._items.append(item)
            self._size += size
            self._accepted += events

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is written; False after `timeout` seconds."""
        with self._news:
            until = self._accepted
            self._hurry = True
            self._news.notify_all()
            return self._news.wait_for(lambda: self._settled >= until, timeout)

    def close(self, timeout: float) -> int:
        """Take nothing more, and wait `timeout` seconds for the rest to be written; gives how many events are left."""
        end = time.monotonic() + timeout
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._thread.join(max(0.0, end - time.monotonic()))
        with self._news:
            return self._accepted - self._settled

    def _run(self) -> None:
        while (bulk := self._next()) is not None:
            written = all(self._pen.write(self._render(some)) for some in _portions(bulk.items))
            if written and bulk.lost:
                self._pen.write(self._tell(bulk.lost))
            self._settle(bulk, written)
        if self._untold:
            self._pen.write(self._tell(self._untold))

    def _next(self) -> _Bulk[Item] | None:
        """Wait for something to write; None at the end."""
        with self._news:
            self._news.wait_for(lambda: self._items or self._closed)
            if not self._items:
                return None
            if self.linger:
                self._news.wait_for(lambda: self._hurry or self._closed, self.linger)
            bulk = _Bulk(self._items, self._accepted - self._taken, self._untold)
            self._items = []
            self._size = self._untold = 0
            self._taken = self._accepted
            self._hurry = False
            return bulk

    def _settle(self, bulk: _Bulk[Item], written: bool) -> None:
        with self._news:
            self._settled += bulk.events
            if not written:
                self._untold += bulk.lost
                self._lose(bulk.events)
            self._news.notify_all()

    def _lose(self, events: int) -> None:
        self._lost += events
        self._untold += events


def _portions(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Rendered one after the other, a full buffer needs little more memory than it has already."""
    for start in range(0, len(items), RENDERED_AT_ONCE):
        yield items[start : start + RENDERED_AT_ONCE]


class _Pen:
    """Writes whole lines to a descriptor, one bulk after the other; for one thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._turn = _turn(descriptor)
        self._torn = False

    def write(self, lines: bytes) -> bool:
        """Wait until all is written; False if it cannot be. What begins after half a line begins on a new one."""
        with self._turn:
            rest = memoryview(b"\n" + lines if self._torn and lines else lines)
            while rest:
                try:
                    count = os.write(self._descriptor, rest)
                except BlockingIOError:
                    select.select((), (self._descriptor,), ())
                except OSError:
                    return False
                else:
                    self._torn = rest[count - 1] != ord("\n")
                    rest = rest[count:]
        return True


def _turn(descriptor: int) -> Lock:
    """The lock of what is behind a descriptor: with `2>&1` two outlets would split each other's lines."""
    status = os.fstat(descriptor)
    return _turn_at(status.st_dev, status.st_ino)


@cache
def _turn_at(_device: int, _inode: int) -> Lock:
    return Lock()


def descriptor_of(stream: TextIO | None) -> int:
    """The descriptor of a standard stream. Closed by whoever started the process, its number may be another file's."""
    return os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
