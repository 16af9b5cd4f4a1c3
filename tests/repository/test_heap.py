"""What the C library is told to do with freed memory."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

import pytest

from naiad.repository.heap import HEAP, LARGEST_MAPPED_FROM, MAPPED_FROM, Heap

TRIM, MAP = -1, -3
"""glibc's numbers for the two settings (malloc.h)."""


class Library:
    """Records what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []
        self.trims = 0

    def mallopt(self, what: int, value: int) -> int:
        self.told.append((what, value))
        return 1

    def malloc_trim(self, _: int) -> int:
        self.trims += 1
        return 1


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def heap(library: Library) -> Heap:
    heap = Heap(library.mallopt, library.malloc_trim)
    heap.keep(1000)
    assert library.told == [(TRIM, 1000), (MAP, LARGEST_MAPPED_FROM)]
    library.told.clear()
    return heap


def test_what_a_large_version_allocates_is_mapped_while_it_is_loaded(heap: Heap, library: Library) -> None:
    with heap.mapped():
        assert library.told == [(MAP, MAPPED_FROM)]
    assert library.told == [(MAP, MAPPED_FROM), (MAP, LARGEST_MAPPED_FROM)]


def test_the_last_of_several_loads_ends_that_also_one_that_fails(heap: Heap, library: Library) -> None:
    with suppress(ValueError), heap.mapped():
        with heap.mapped():
            pass
        assert library.told == [(MAP, MAPPED_FROM)]
        raise ValueError("no model")
    assert library.told == [(MAP, MAPPED_FROM), (MAP, LARGEST_MAPPED_FROM)]


def test_the_settings_of_a_user_are_left_alone(library: Library) -> None:
    heap = Heap(library.mallopt, library.malloc_trim)
    with heap.mapped():
        pass
    assert library.told == []


def test_memory_can_be_given_back_at_any_time(heap: Heap, library: Library) -> None:
    heap.trim()
    heap.trim()
    assert library.trims == 2


def test_another_c_library_is_told_nothing() -> None:
    heap = Heap(None, None)
    heap.keep(1000)
    with heap.mapped():
        heap.trim()


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)
def test_glibc_can_be_told() -> None:
    HEAP.trim()
    with HEAP.mapped():
        pass
