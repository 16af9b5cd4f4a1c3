"""Distributions against the simplest count of the same values."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from naiad.core.histogram import BULK, Distribution, Histogram

BOUNDS = (10, 20, 50)
values = st.lists(st.integers(0, 2**52), max_size=20) | st.lists(st.sampled_from([0, 9, 10, 11, 20, 21, 50, 51]))


def counted(observed: list[int]) -> Histogram:
    counts = [0] * (len(BOUNDS) + 1)
    for value in observed:
        counts[bisect_left(BOUNDS, value)] += 1
    return Histogram(BOUNDS, tuple(counts), sum(observed))


@given(st.lists(values, max_size=4))
def test_every_value_is_in_the_bucket_of_the_smallest_bound_that_is_not_below_it(groups: list[list[int]]) -> None:
    distribution = Distribution(BOUNDS)
    for group in groups:
        distribution.add(group)
    observed = [value for group in groups for value in group]
    assert distribution.read() == counted(observed)
    assert sum(distribution.read().counts) == len(observed)


@given(values, values)
def test_reading_neither_loses_nor_repeats_a_value(before: list[int], after: list[int]) -> None:
    distribution = Distribution(BOUNDS)
    distribution.add(before)
    first = distribution.read()
    distribution.add(after)
    assert first == counted(before)
    assert distribution.read() == counted(before + after)


def test_values_that_come_one_by_one_are_all_counted() -> None:
    distribution = Distribution(BOUNDS)
    for value in range(3 * BULK):
        distribution.add((value,))
    assert distribution.read() == counted(list(range(3 * BULK)))


def test_no_more_than_a_bulk_of_values_is_kept_unsorted() -> None:
    distribution = Distribution(BOUNDS)
    for _ in range(10 * BULK):
        distribution.add((1,))
        assert len(distribution._recent) < BULK
