"""Loads end once, whatever they do, and none keeps its thread from the others for longer than its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Thread
from typing import cast

import pytest

from naiad.core.errors import InvalidArgument
from naiad.core.timer import Timer
from naiad.repository.loaders import STOPPING, Loaders, Outcome
from naiad.repository.loading import Loaded
from tests.core.scripted import HOUR, PATIENCE, eventually

LIMIT = 0.05


class Thing:
    """What a load brings: something that can be closed."""

    def __init__(self) -> None:
        self.closed = Event()

    def close(self) -> None:
        self.closed.set()


class Place:
    """Loaders, and what they told."""

    def __init__(self, threads: int = 1, timeout: float = 0, retries: int = 0) -> None:
        self.timer = Timer()
        self.timer.start()
        self.loaders = Loaders(threads, self.timer, timeout, retries)
        self.loaders.start()
        self._told: SimpleQueue[Outcome] = SimpleQueue()

    def load(self, load: Callable[[], Loaded]) -> None:
        self.loaders.load("model m version 1", load, self._told.put)

    def told(self) -> Outcome:
        return self._told.get(timeout=PATIENCE)

    @property
    def silent(self) -> bool:
        return self._told.empty()

    def bring(self) -> Thing:
        """Load a thing, and wait until it is told: a thread is free."""
        thing = Thing()
        self.load(lambda: loaded(thing))
        assert self.told() is loaded(thing)
        return thing

    def end(self) -> None:
        self.loaders.stop()
        self.timer.stop()
        eventually(lambda: not loader_threads())


def loaded(thing: Thing) -> Loaded:
    """A Loaded is only handed on and closed here."""
    return cast(Loaded, thing)


def loader_threads() -> list[Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("naiad-loader")]


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.end()


@pytest.fixture
def hurried() -> Iterator[Place]:
    place = Place(timeout=LIMIT)
    yield place
    place.end()


def held(thing: Thing, until: Event) -> Callable[[], Loaded]:
    def load() -> Loaded:
        assert until.wait(PATIENCE)
        return loaded(thing)

    return load


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InvalidArgument("the file is truncated"), "the file is truncated"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (SystemExit("enough"), "SystemExit: enough"),
        (BaseException("panicked"), "BaseException: panicked"),
    ],
)
def test_whatever_a_load_raises_is_its_outcome_and_its_thread_goes_on(
    place: Place, error: BaseException, reason: str
) -> None:
    def load() -> Loaded:
        raise error

    place.load(load)
    assert place.told() == reason
    place.bring()


def test_an_error_that_cannot_say_what_it_is_ends_its_load_too(place: Place) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    def load() -> Loaded:
        raise Mute

    place.load(load)
    assert "Mute" in str(place.told())
    place.bring()


def test_a_load_that_hangs_is_given_up_and_another_thread_takes_its_place(hurried: Place) -> None:
    release, thing = Event(), Thing()
    hurried.load(held(thing, release))
    assert hurried.told() == "loading was given up after 0.05 s (--model-load-timeout-secs)"
    hurried.bring()
    release.set()
    assert thing.closed.wait(PATIENCE)
    assert hurried.silent


def test_the_thread_of_a_load_that_was_given_up_ends_when_it_comes_back(hurried: Place) -> None:
    release, thing = Event(), Thing()
    hurried.load(held(thing, release))
    hurried.told()
    hurried.bring()
    release.set()
    assert thing.closed.wait(PATIENCE)
    hurried.loaders._timeout = HOUR
    eventually(lambda: len(loader_threads()) == 1)
    hurried.bring()


def test_a_load_that_is_in_time_leaves_nothing_with_the_timer(place: Place) -> None:
    place.loaders._timeout = HOUR
    place.bring()
    assert len(place.timer) == 0


def test_a_load_that_no_thread_could_be_found_for_has_its_old_one_when_that_comes_back(
    hurried: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(hurried.loaders, "_start_thread", none_left)
    release, thing = Event(), Thing()
    hurried.load(held(thing, release))
    assert "given up" in str(hurried.told())
    eventually(lambda: hurried.loaders._missing == 1)
    hurried.loaders._timeout = HOUR
    release.set()
    assert thing.closed.wait(PATIENCE)
    hurried.bring()


def test_frozen_loaders_begin_nothing_and_close_what_still_comes(place: Place) -> None:
    entered, release, thing = Event(), Event(), Thing()

    def load() -> Loaded:
        entered.set()
        return held(thing, release)()

    place.load(load)
    place.load(lambda: loaded(Thing()))
    assert entered.wait(PATIENCE)
    place.loaders.freeze()
    release.set()
    assert (place.told(), place.told()) == (STOPPING, STOPPING)
    assert thing.closed.is_set()


def test_what_cannot_be_closed_ends_no_thread(place: Place) -> None:
    class Stubborn(Thing):
        def close(self) -> None:
            super().close()
            raise SystemExit

    release, thing = Event(), Stubborn()
    place.load(held(thing, release))
    place.loaders.freeze()
    release.set()
    assert place.told() == STOPPING
    place.loaders._frozen = False
    place.bring()


@pytest.fixture
def persistent() -> Iterator[Place]:
    """Loaders that try a load twice more."""
    place = Place(retries=2)
    yield place
    place.end()


def failing(times: int, then: Thing, tries: list[int]) -> Callable[[], Loaded]:
    def load() -> Loaded:
        tries.append(len(tries))
        if len(tries) <= times:
            raise InvalidArgument(f"failure {len(tries)}")
        return loaded(then)

    return load


def test_a_load_that_fails_is_tried_again(persistent: Place) -> None:
    thing, tries = Thing(), list[int]()
    persistent.load(failing(2, thing, tries))
    assert persistent.told() is loaded(thing)
    assert len(tries) == 3


def test_a_load_that_fails_every_time_fails_with_the_last_reason(persistent: Place) -> None:
    tries = list[int]()
    persistent.load(failing(3, Thing(), tries))
    assert persistent.told() == "failure 3"
    assert len(tries) == 3


def test_a_load_that_succeeds_is_not_tried_again(persistent: Place) -> None:
    tries = list[int]()
    persistent.load(failing(0, Thing(), tries))
    persistent.told()
    persistent.bring()
    assert len(tries) == 1


def test_a_load_is_not_tried_again_while_the_server_stops(persistent: Place) -> None:
    tries = list[int]()

    def load() -> Loaded:
        persistent.loaders.freeze()
        return failing(3, Thing(), tries)()

    persistent.load(load)
    assert persistent.told() == "failure 1"
    assert len(tries) == 1


def test_a_load_that_was_given_up_is_not_tried_again() -> None:
    place, release, tries = Place(timeout=LIMIT, retries=5), Event(), list[int]()

    def load() -> Loaded:
        tries.append(1)
        assert release.wait(PATIENCE)
        raise InvalidArgument("too late")

    place.load(load)
    assert "given up" in str(place.told())
    release.set()
    place.bring()
    place.end()
    assert len(tries) == 1
