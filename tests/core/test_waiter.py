"""The condition that a leading runner waits in."""

from __future__ import annotations

from threading import Event, Thread

from naiad.core.waiter import ConditionWaiter
from tests.core.scripted import PATIENCE


def waits(waiter: ConditionWaiter, timeout: float | None) -> Event:
    """Wait on a thread; the event tells that the wait has ended."""
    ended = Event()

    def run() -> None:
        waiter.wait(timeout)
        ended.set()

    Thread(target=run, daemon=True).start()
    return ended


def test_a_kick_ends_the_present_wait() -> None:
    waiter = ConditionWaiter()
    ended = waits(waiter, None)
    waiter.kick()
    assert ended.wait(PATIENCE)


def test_a_kick_from_before_ends_the_next_wait() -> None:
    waiter = ConditionWaiter()
    waiter.kick()
    assert waits(waiter, None).wait(PATIENCE)


def test_kicks_that_nobody_waited_for_are_one() -> None:
    waiter = ConditionWaiter()
    waiter.kick()
    waiter.kick()
    waiter.wait(None)
    assert waiter._gate.locked()
    waiter.kick()
    assert waits(waiter, None).wait(PATIENCE)


def test_a_timeout_ends_a_wait_and_one_of_the_past_only_looks() -> None:
    waiter = ConditionWaiter()
    for timeout in (0.001, 0.0, -1.0):
        assert waits(waiter, timeout).wait(PATIENCE)


def test_a_look_takes_the_kick_that_it_finds() -> None:
    waiter = ConditionWaiter()
    waiter.kick()
    waiter.wait(0)
    assert waiter._gate.locked()
    waiter.kick()
    assert waits(waiter, None).wait(PATIENCE)


def test_no_kick_is_lost_between_two_threads() -> None:
    """Each hands a number to the other and waits for its answer; a lost kick would leave both waiting."""
    there, back = ConditionWaiter(), ConditionWaiter()
    numbers: list[int] = []

    def answer() -> None:
        while True:
            there.wait(None)
            numbers.append(numbers[-1] + 1)
            back.kick()
            if numbers[-1] >= 4000:
                return

    thread = Thread(target=answer, daemon=True)
    thread.start()

    def ask() -> None:
        while not numbers or numbers[-1] < 4000:
            numbers.append(numbers[-1] + 1 if numbers else 1)
            there.kick()
            back.wait(None)

    asker = Thread(target=ask, daemon=True)
    asker.start()
    asker.join(PATIENCE)
    thread.join(PATIENCE)
    assert numbers == list(range(1, 4001))
