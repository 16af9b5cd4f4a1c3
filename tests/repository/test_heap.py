"""What the C library is told to do with freed memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from naiad.repository.heap import HEAP, LARGEST_MAPPED_FROM, PIN_BYTES, Heap, Pin, _glibc

TRIM, MAP = -1, -3
"""glibc's numbers for the two settings (malloc.h)."""
KEPT = 2**27
FREED_ON_ANOTHER_THREAD = """
import ctypes, re, sys, threading
from pathlib import Path
from naiad.repository.heap import HEAP

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

HEAP.keep(2**27)
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
allocated = []

def load():
    for _ in range(12):
        allocated.append(library.malloc(16 * 2**20))
        ctypes.memset(allocated[-1], 1, 16 * 2**20)
    allocated.append(HEAP.pin())

loader = threading.Thread(target=load)
loader.start()
loader.join()
pin, before = allocated.pop(), resident()
for one in allocated:
    library.free(one)
if sys.argv[1] == "give back":
    HEAP.give_back(pin)
print(before - resident())
"""


class Library:
    """Records what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def mallopt(self, what: int, value: int) -> int:
        self.told.append((what, value))
        return 1

    def malloc(self, size: int) -> int:
        self.told.append(("malloc", size))
        return 4711

    def free(self, address: int) -> None:
        self.told.append(("free", address))

    def malloc_trim(self, pad: int) -> int:
        self.told.append(("trim", pad))
        return 1


@pytest.fixture
def library() -> Library:
    return Library()


def test_freed_memory_is_kept(library: Library) -> None:
    Heap(library).keep(KEPT)
    assert library.told == [(TRIM, KEPT), (MAP, LARGEST_MAPPED_FROM)]


def test_nothing_is_kept_while_memory_is_given_back(library: Library) -> None:
    heap = Heap(library)
    heap.keep(KEPT)
    pin = heap.pin()
    library.told.clear()
    heap.give_back(pin)
    assert library.told == [(TRIM, 0), ("free", 4711), ("trim", 0), (TRIM, KEPT)]


def test_the_settings_of_a_user_are_left_alone(library: Library) -> None:
    heap = Heap(library)
    heap.give_back(heap.pin())
    assert library.told == [("malloc", PIN_BYTES), ("free", 4711), ("trim", 0)]


def test_another_c_library_is_told_nothing() -> None:
    heap = Heap(None)
    heap.keep(KEPT)
    heap.give_back(heap.pin())
    heap.give_back(Pin(0))


@pytest.mark.skipif(_glibc() is None, reason="needs glibc")
def test_glibc_gives_back_what_another_thread_has_allocated() -> None:
    def given_back(what: str) -> int:
        command = [sys.executable, "-c", FREED_ON_ANOTHER_THREAD, what]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert given_back("give back") > 180, "MB"
    assert given_back("keep") < 180, "MB: there is nothing to give back, so this tells nothing"


def test_it_can_be_done_at_any_time() -> None:
    HEAP.give_back(HEAP.pin())
    HEAP.give_back(HEAP.pin())
