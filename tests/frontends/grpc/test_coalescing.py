"""Gathering of events: how long a loop waits for more, decided turn by turn."""

from __future__ import annotations

from collections.abc import Callable

from naiad.frontends.grpc.coalescing import LARGEST_PATIENCE, PATIENCE, TURNS, Coalescing

Arrivals = Callable[[int], int]
"""How many events there are after so many turns."""


def hand_over(coalescing: Coalescing, arrivals: Arrivals) -> tuple[int, int]:
    """One hand-over: how many events it had, and after how many turns."""
    for turn in range(TURNS + 1):
        if coalescing.due(arrivals(turn)):
            return arrivals(turn), turn
    raise AssertionError("a hand-over was never due")


def alone(_: int) -> int:
    return 1


def one_each(turns: int) -> Arrivals:
    return lambda turn: 1 + turn // turns


def test_a_lone_event_is_handed_over_at_once() -> None:
    coalescing = Coalescing()
    assert [hand_over(coalescing, alone) for _ in range(PATIENCE)] == [(1, 0)] * PATIENCE


def test_a_lone_client_waits_ever_more_rarely() -> None:
    coalescing = Coalescing()
    waits = [turns for _, turns in (hand_over(coalescing, alone) for _ in range(20 * LARGEST_PATIENCE))]
    tries = [i for i, turns in enumerate(waits) if turns]
    assert {waits[i] for i in tries} == {TURNS}
    assert tries[1] - tries[0] > tries[0]
    assert sum(1 for i in tries if i >= 10 * LARGEST_PATIENCE) <= 10


def test_under_load_hand_overs_grow_to_what_arrives_in_time() -> None:
    coalescing = Coalescing()
    sizes = [hand_over(coalescing, one_each(10))[0] for _ in range(500)]
    assert sizes[0] == 1
    reachable = 1 + TURNS // 10
    assert set(sizes[-50:]) <= {reachable - 1, reachable}


def test_when_load_ends_hand_overs_shrink_to_one_again() -> None:
    coalescing = Coalescing()
    for _ in range(500):
        hand_over(coalescing, one_each(10))
    waits = [turns for _, turns in (hand_over(coalescing, alone) for _ in range(100))]
    assert waits[0] == TURNS
    assert waits.count(0) > 80


def test_no_event_waits_longer_than_the_limit() -> None:
    coalescing = Coalescing()
    for _ in range(200):
        hand_over(coalescing, one_each(1))
        assert hand_over(coalescing, alone)[1] <= TURNS


def test_events_that_come_in_bulk_are_handed_over_in_bulk_and_at_once() -> None:
    coalescing = Coalescing()
    waits = [hand_over(coalescing, lambda _: 32) for _ in range(100)]
    assert {count for count, _ in waits} == {32}
    assert sum(1 for _, turns in waits if turns) <= 100 // PATIENCE + 1
