"""What one thread has to do next: in order, and in time."""

from __future__ import annotations

import time
from functools import partial
from threading import Thread

from naiad.repository.agenda import Agenda
from tests.core.scripted import HOUR, PATIENCE


def worked_off(agenda: Agenda) -> None:
    while (next_task := agenda.get()) is not None:
        next_task()


def test_what_is_told_is_given_in_its_order() -> None:
    agenda, done = Agenda(), list[str]()
    for name in "abc":
        agenda.put(partial(done.append, name))
    agenda.put(None)
    worked_off(agenda)
    assert done == ["a", "b", "c"]
    assert agenda.empty()


def test_what_is_due_goes_first_and_what_is_not_waits() -> None:
    agenda, done = Agenda(), list[str]()
    agenda.put(lambda: done.append("told"))
    agenda.put_at(time.monotonic() + HOUR, lambda: done.append("in an hour"))
    agenda.put_at(time.monotonic() - 1, lambda: done.append("a second late"))
    agenda.put_at(time.monotonic() - 2, lambda: done.append("two seconds late"))
    agenda.put(None)
    worked_off(agenda)
    assert done == ["two seconds late", "a second late", "told"]


def test_equal_times_are_given_in_the_order_in_which_they_were_set() -> None:
    agenda, done = Agenda(), list[str]()
    for name in "abc":
        agenda.put_at(0.0, partial(done.append, name))
    agenda.put(None)
    worked_off(agenda)
    assert done == ["a", "b", "c"]


def test_one_who_waits_is_woken_by_what_becomes_due() -> None:
    agenda = Agenda()
    due = time.monotonic() + 0.02
    agenda.put_at(due, lambda: None)
    assert agenda.get() is not None
    assert time.monotonic() >= due


def test_one_who_waits_is_woken_by_what_is_told() -> None:
    agenda = Agenda()
    agenda.put_at(time.monotonic() + HOUR, lambda: None)
    waiting = Thread(target=worked_off, args=[agenda])
    waiting.start()
    agenda.put(None)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
