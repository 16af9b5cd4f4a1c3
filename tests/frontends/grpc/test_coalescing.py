"""Gathering of events: how many a hand-over waits for, decided from what earlier ones met."""

from __future__ import annotations

from itertools import pairwise

import pytest

from naiad.frontends.grpc.coalescing import LARGEST_PATIENCE, PATIENCE, Coalescing


def hand_over(coalescing: Coalescing, arriving: int) -> bool:
    """One hand-over while so many events arrive in the time that it may wait; whether it waited in vain."""
    if arriving >= coalescing.target:
        coalescing.met(arriving)
        return False
    coalescing.gave_up()
    return True


def test_a_lone_event_is_handed_over_at_once() -> None:
    coalescing = Coalescing()
    assert [hand_over(coalescing, 1) for _ in range(PATIENCE)] == [False] * PATIENCE


def test_a_lone_client_waits_ever_more_rarely() -> None:
    coalescing = Coalescing()
    waited = [hand_over(coalescing, 1) for _ in range(20 * LARGEST_PATIENCE)]
    tries = [i for i, in_vain in enumerate(waited) if in_vain]
    assert [later - earlier for earlier, later in pairwise(tries[:5])] == [9, 17, 33, 65]
    assert sum(waited[10 * LARGEST_PATIENCE :]) <= 10


@pytest.mark.parametrize("arriving", [2, 8, 32])
def test_under_load_hand_overs_grow_to_what_arrives_in_time(arriving: int) -> None:
    coalescing = Coalescing()
    for _ in range(100 * arriving):
        hand_over(coalescing, min(arriving, coalescing.target))
    assert coalescing.target in (arriving, arriving + 1)
    assert sum(hand_over(coalescing, min(arriving, coalescing.target)) for _ in range(1000)) < 20


def test_when_load_ends_hand_overs_shrink_to_one_again() -> None:
    coalescing = Coalescing()
    for _ in range(1000):
        hand_over(coalescing, min(8, coalescing.target))
    waited = [hand_over(coalescing, 1) for _ in range(100)]
    assert waited[0]
    assert sum(waited) < 20
    assert coalescing.target <= 2


def test_a_try_that_succeeds_makes_the_next_ones_frequent_again() -> None:
    coalescing = Coalescing()
    for _ in range(10 * LARGEST_PATIENCE):
        hand_over(coalescing, 1)
    for _ in range(2 * LARGEST_PATIENCE):
        hand_over(coalescing, 2)
    assert coalescing.target == 3 or not hand_over(coalescing, 2)
    grown = 0
    for _ in range(20 * PATIENCE):
        grown += not hand_over(coalescing, coalescing.target)
    assert coalescing.target >= 10
    assert grown == 20 * PATIENCE


def test_events_that_come_in_bulk_are_handed_over_in_bulk_and_the_target_follows() -> None:
    coalescing = Coalescing()
    assert not any(hand_over(coalescing, 32) for _ in range(PATIENCE))
    assert coalescing.target == 33


def test_the_target_is_never_less_than_one() -> None:
    coalescing = Coalescing()
    for _ in range(5):
        coalescing.gave_up()
        assert coalescing.target == 1
