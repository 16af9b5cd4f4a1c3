"""`naiad serve` with a window in it: the same server, and one thread more that tells what the process holds.

    python -m tests.soak.probe SOCKET {honest,leaking,dripping,traced} serve --model-repository ...

Whoever connects to the Unix socket gets a `Told` as JSON. Two manners are planted leaks, which whatever finds none in
an honest server must find: a leaking server keeps a third of what comes to it, a dripping one a kilobyte each time. A
traced one counts the bytes of all objects of Python, and is slow.
"""

from __future__ import annotations

import ctypes
import gc
import json
import socket
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from threading import Thread
from typing import TypedDict, TypeVar
from unittest import mock

from naiad.cli import main
from naiad.core.runners import RunnerPool
from naiad.frontends.grpc.dispatch import Dispatcher
from naiad.frontends.grpc.transport import AnyEvent

Kind = TypeVar("Kind")


class Told(TypedDict):
    """What a process holds, garbage apart.

    objects: how many of each type the garbage collector knows. blocks: small pieces of memory that Python has given
    out. allocated: bytes that malloc has given out, to Rust too. traced: bytes of Python's objects, 0 in a server that
    is not traced. wire: what the native transport has counted, empty for another one. runners: threads of the pool.
    """

    objects: dict[str, int]
    blocks: int
    allocated: int
    traced: int
    wire: dict[str, int]
    runners: int


class _Mallinfo(ctypes.Structure):
    """What glibc's `mallinfo2` gives, in its order."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks"),
            "keepcost",
        )
    )


def look() -> Told:
    """Count, and have freed memory given back to the system."""
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)
    libc.mallinfo2.restype = _Mallinfo
    memory = libc.mallinfo2()
    known = gc.get_objects()
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in known)
    del known
    return Told(
        objects=dict(types),
        blocks=sys.getallocatedblocks(),
        allocated=memory.uordblks + memory.hblkhd,
        traced=tracemalloc.get_traced_memory()[0],
        wire=_wire(),
        runners=sum(pool.threads for pool in _all(RunnerPool)),
    )


def _all(kind: type[Kind]) -> list[Kind]:
    return [one for one in gc.get_objects() if isinstance(one, kind)]


def _wire() -> dict[str, int]:
    if "naiad.frontends.grpc.native" not in sys.modules:
        return {}
    from naiad.frontends.grpc.native import NativeTransport

    return {name: number for transport in _all(NativeTransport) for name, number in transport.counters().items()}


def tell(at: str) -> None:
    """Answer all who connect, on a thread that ends with the process."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(at)
    listener.listen()

    def answer() -> None:
        while True:
            with listener.accept()[0] as asker:
                asker.sendall(json.dumps(look()).encode())

    Thread(target=answer, name="probe", daemon=True).start()


def leak(keep: Callable[[AnyEvent], object]) -> None:
    """Keep something of every third event, as a server would that forgets to let go of it."""
    kept: list[object] = []
    numbers = count()
    dispatch = Dispatcher.dispatch

    def leaking(self: Dispatcher, events: Sequence[AnyEvent]) -> None:
        kept.extend(keep(event) for event in events if next(numbers) % 3 == 0)
        dispatch(self, events)

    mock.patch.object(Dispatcher, "dispatch", leaking).start()


MANNERS: dict[str, Callable[[], None]] = {
    "honest": lambda: None,
    "leaking": lambda: leak(lambda event: event),
    "dripping": lambda: leak(lambda _: bytes(1024)),
    "traced": tracemalloc.start,
}

if __name__ == "__main__":
    _, at, manner, *arguments = sys.argv
    MANNERS[manner]()
    tell(at)
    sys.exit(main(arguments))
