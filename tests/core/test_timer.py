"""The thread of all deadlines."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from queue import SimpleQueue
from time import monotonic_ns

import pytest

from naiad.core.timer import SLOT_NS, Expiring, Timer
from tests.core.scripted import PATIENCE, eventually

LONG_NS = 3_600_000_000_000
SOON_NS = 2_000_000


class Alarm:
    """An entry that says on a queue when it went off."""

    def __init__(self, expires_ns: int | None, rung: SimpleQueue[Alarm]) -> None:
        self.expires_ns = expires_ns
        self.rung_ns = 0
        self._rung = rung

    def expire(self) -> None:
        self.rung_ns = monotonic_ns()
        self._rung.put(self)


@pytest.fixture
def rung() -> SimpleQueue[Alarm]:
    return SimpleQueue()


@pytest.fixture
def timer() -> Iterator[Timer]:
    timer = Timer()
    timer.start()
    yield timer
    timer.stop()


def test_an_entry_goes_off_once_and_not_before_its_time(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    alarm = Alarm(monotonic_ns() + SOON_NS, rung)
    timer.add(alarm)
    assert rung.get(timeout=PATIENCE) is alarm
    assert alarm.expires_ns is not None
    assert alarm.rung_ns >= alarm.expires_ns
    assert rung.empty()
    assert len(timer) == 0


def test_an_entry_that_went_off_is_let_go(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    timer.add(Alarm(monotonic_ns() + SOON_NS, rung))
    gone = weakref.ref(rung.get(timeout=PATIENCE))
    eventually(lambda: gone() is None)


def test_entries_go_off_in_the_order_of_their_times_whatever_the_order_of_adding(
    timer: Timer, rung: SimpleQueue[Alarm]
) -> None:
    start = monotonic_ns() + 20 * SOON_NS
    alarms = [Alarm(start + i * SOON_NS, rung) for i in range(5)]
    for i in (3, 0, 4, 2, 1):
        timer.add(alarms[i])
    assert [rung.get(timeout=PATIENCE) for _ in alarms] == alarms


def test_an_earlier_entry_wakes_a_timer_that_waits_for_a_later_one(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    late, early = Alarm(monotonic_ns() + LONG_NS, rung), Alarm(monotonic_ns() + SOON_NS, rung)
    timer.add(late)
    timer.add(early)
    assert rung.get(timeout=PATIENCE) is early
    assert len(timer) == 1


def test_entries_of_one_slot_go_off_together(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    when = (monotonic_ns() // SLOT_NS + 20) * SLOT_NS
    alarms = [Alarm(when - 1, rung), Alarm(when, rung)]
    for alarm in alarms:
        timer.add(alarm)
    assert len(timer) == 2
    assert [rung.get(timeout=PATIENCE) for _ in alarms] == alarms


def test_a_time_in_the_past_goes_off_at_once(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    alarm = Alarm(1, rung)
    timer.add(alarm)
    assert rung.get(timeout=PATIENCE) is alarm


def test_a_discarded_entry_never_goes_off(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    """The one that stays goes off later than the discarded one would have."""
    now = monotonic_ns()
    gone, stays = Alarm(now + 10 * SOON_NS, rung), Alarm(now + 12 * SOON_NS, rung)
    timer.add(gone)
    timer.add(stays)
    timer.discard([gone])
    assert rung.get(timeout=PATIENCE) is stays
    assert rung.empty()


def test_discarding_what_is_not_there_is_nothing(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    when = monotonic_ns() + LONG_NS
    stays = Alarm(when, rung)
    timer.add(stays)
    timer.discard([Alarm(when, rung), Alarm(when + LONG_NS, rung)])
    timer.discard([stays, stays])
    assert len(timer) == 0


def test_an_entry_can_come_again_after_it_was_discarded(timer: Timer, rung: SimpleQueue[Alarm]) -> None:
    alarm = Alarm(monotonic_ns() + 5 * SOON_NS, rung)
    timer.add(alarm)
    timer.discard([alarm])
    timer.add(alarm)
    assert rung.get(timeout=PATIENCE) is alarm
    assert rung.empty()


def test_adding_and_discarding_for_ever_leaves_nothing_behind(rung: SimpleQueue[Alarm]) -> None:
    timer = Timer()
    for i in range(1000):
        alarm = Alarm(LONG_NS + i * SLOT_NS, rung)
        timer.add(alarm)
        timer.discard([alarm])
    assert len(timer) == 0
    assert timer._slots == {}
    assert len(timer._order) <= 65


def test_what_stays_among_many_that_were_discarded_goes_off_in_its_order(rung: SimpleQueue[Alarm]) -> None:
    start = monotonic_ns()
    stay = [Alarm(start + i * SLOT_NS, rung) for i in (9, 3, 7, 1, 5)]
    go = [Alarm(start + LONG_NS + i * SLOT_NS, rung) for i in range(200)]
    timer = Timer()
    for alarm in stay + go:
        timer.add(alarm)
    timer.discard(go)
    assert len(timer._order) == len(timer) == 5
    timer.start()
    assert [rung.get(timeout=PATIENCE) for _ in stay] == sorted(stay, key=lambda alarm: alarm.expires_ns or 0)
    timer.stop()


def test_a_timer_sleeps_until_something_is_due(rung: SimpleQueue[Alarm], monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    timer = Timer()
    due = timer._due

    def look(now_ns: int) -> tuple[list[Expiring], float | None]:
        looks.append(now_ns)
        return due(now_ns)

    monkeypatch.setattr(timer, "_due", look)
    timer.add(Alarm(monotonic_ns() + 20 * SOON_NS, rung))
    timer.start()
    rung.get(timeout=PATIENCE)
    timer.stop()
    assert len(looks) < 20


def test_what_is_left_when_the_timer_stops_never_goes_off(rung: SimpleQueue[Alarm]) -> None:
    timer = Timer()
    timer.start()
    timer.add(Alarm(monotonic_ns() + LONG_NS, rung))
    timer.stop()
    assert not timer._thread.is_alive()
    assert rung.empty()
    assert len(timer) == 1


def test_an_entry_without_a_time_is_refused(rung: SimpleQueue[Alarm]) -> None:
    with pytest.raises(ValueError, match="an entry without a time does not expire"):
        Timer().add(Alarm(None, rung))
