"""The manager on scripted backends: what it serves and tells of the first pass of loading, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event
from typing import cast

import pytest

from naiad.core.backend import Backend
from naiad.core.engine import IndexEntry
from naiad.core.errors import InvalidArgument, NaiadError, NotFound, Unavailable
from naiad.core.version import Version
from naiad.repository import publishing
from naiad.repository.loading import Loaded
from naiad.repository.wanted import Candidate
from tests.core.scripted import PATIENCE, Caller, eventually, request
from tests.repository.site import Site, opened


@pytest.fixture
def site() -> Iterator[Site]:
    with opened() as site:
        yield site


def test_a_model_that_is_not_asked_for_is_shown_and_not_called_a_failure(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.candidates += [Candidate("idle", {}, idle="nobody asks for it"), Candidate("never", {})]
    site.offer("broken", problem="config.pbtxt:3: expected a number")
    site.settle()
    assert site.states() == [("broken", "", "UNAVAILABLE"), ("idle", "", "UNAVAILABLE"), ("never", "", "")]
    assert [entry.name for entry in site.manager.failures()] == ["broken"]
    assert "idle" not in caplog.text


def test_all_wanted_versions_are_loaded_and_the_highest_answers(site: Site) -> None:
    site.offer("a", 1, 7)
    site.settle()
    assert site.ask("a") == site.ask("a", 1) == 4.0
    assert site.house.engine.metadata("a", None).versions == (1, 7)
    assert site.house.engine.ready()
    assert site.states() == [("a", "1", "READY"), ("a", "7", "READY")]


def test_a_model_that_fails_leaves_the_others_serving_and_says_why(site: Site) -> None:
    site.offer("bad", 1)
    site.offer("worse", 1)
    site.offer("good", 1)
    site.plan |= {"bad": InvalidArgument("the file is truncated"), "worse": ZeroDivisionError("by zero")}
    site.settle()
    assert site.ask("good") == 4.0
    assert site.house.engine.ready()
    assert site.manager.index(ready_only=False) == (
        IndexEntry("bad", "1", "UNAVAILABLE", "m/1: the file is truncated"),
        IndexEntry("good", "1", "READY", ""),
        IndexEntry("worse", "1", "UNAVAILABLE", "m/1: ZeroDivisionError: by zero"),
    )
    assert [entry.name for entry in site.manager.index(ready_only=True)] == ["good"]
    with pytest.raises(Unavailable, match="version 1 is not at ready state"):
        site.ask("bad", 1)
    with pytest.raises(NotFound, match="has no available versions"):
        site.ask("bad")


def test_one_bad_version_leaves_its_siblings_serving(site: Site) -> None:
    site.offer("a", 1, v2="no model file")
    site.settle()
    assert site.ask("a") == 4.0
    assert site.manager.index(ready_only=False)[1] == IndexEntry("a", "2", "UNAVAILABLE", "no model file")


def test_a_model_whose_config_is_wrong_stands_in_the_index_with_the_reason(site: Site) -> None:
    site.offer("a", problem="config.pbtxt:3: expected a number")
    site.settle()
    assert site.manager.index(ready_only=False) == (
        IndexEntry("a", "", "UNAVAILABLE", "config.pbtxt:3: expected a number"),
    )
    with pytest.raises(NotFound, match="has no available versions"):
        site.ask("a")


def test_the_server_is_ready_when_the_first_pass_has_ended_and_not_before(site: Site) -> None:
    slow = site.plan["slow"] = Event()
    site.offer("slow", 1)
    site.offer("quick", 1)
    site.start()
    eventually(lambda: site.house.engine.model_ready("quick", None))
    assert site.ask("quick") == 4.0
    assert not site.house.engine.ready()
    assert site.states() == [("quick", "1", "READY"), ("slow", "1", "LOADING")]
    slow.set()
    assert site.manager.settled(PATIENCE)
    assert site.house.engine.ready()


@pytest.mark.parametrize("trouble", [SystemExit("enough"), BaseException("panicked")])
def test_a_load_that_wants_to_end_the_process_ends_itself_only(site: Site, trouble: BaseException) -> None:
    for name in ("a", "b", "c"):
        site.offer(name, 1)
        site.plan[name] = trouble
    site.offer("good", 1)
    site.settle()
    assert site.ask("good") == 4.0
    entry = site.manager.index(ready_only=False)[0]
    assert entry == IndexEntry("a", "1", "UNAVAILABLE", f"{type(trouble).__name__}: {trouble}")


def test_a_load_that_hangs_fails_its_version_and_the_server_gets_ready(site: Site) -> None:
    site.loaders._timeout = 0.05
    for name in ("a", "b", "c"):
        site.offer(name, 1)
        site.plan[name] = Event()
    site.offer("good", 1)
    site.settle()
    assert site.house.engine.ready()
    assert site.ask("good") == 4.0
    reason = "loading was given up after 0.05 s (--model-load-timeout-secs)"
    assert site.manager.index(ready_only=False)[0] == IndexEntry("a", "1", "UNAVAILABLE", reason)


def test_what_a_load_brings_too_late_is_closed_and_never_served(site: Site) -> None:
    site.loaders._timeout = 0.05
    late = site.plan["late"] = Event()
    site.offer("late", 1)
    site.settle()
    late.set()
    eventually(lambda: site.made[0].closed)
    assert site.made[0].executables[0].closed
    assert not site.house.engine.model_ready("late", None)
    assert site.states() == [("late", "1", "UNAVAILABLE")]


def test_a_listener_that_raises_keeps_nobody_from_being_served(site: Site) -> None:
    def listener() -> None:
        raise ZeroDivisionError

    end = site.house.engine.subscribe(listener)
    site.offer("a", 1)
    site.settle()
    assert site.ask("a") == 4.0
    end()


def test_what_is_shown_of_a_model_is_made_anew_for_its_own_changes_only(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def entry(name: str, *rest: str) -> IndexEntry:
        made.append(name)
        return IndexEntry(name, *rest)

    monkeypatch.setattr(publishing, "IndexEntry", entry)
    for number in range(100):
        site.offer(f"m{number:03}", 1)
    site.settle()
    assert len(site.manager.index(ready_only=True)) == 100
    assert made.count("m000") <= 4  # LOADING, WARMING, READY, and as known at first


def test_an_empty_repository_is_ready(site: Site) -> None:
    site.settle()
    assert site.house.engine.ready()
    assert site.manager.index(ready_only=False) == ()


def test_listeners_hear_of_each_model_that_becomes_ready(site: Site) -> None:
    heard: list[bool] = []
    site.house.engine.subscribe(lambda: heard.append(site.house.engine.model_ready("a", None)))
    site.offer("a", 1)
    site.settle()
    assert heard[-1] is True


def test_draining_answers_what_is_on_its_way_and_refuses_what_comes(site: Site) -> None:
    site.offer("a", 1)
    site.settle()
    executable = site.made[0].executables[0]
    executable.hold()
    running = site.house.infer(request(1.0, model="a"))
    executable.await_run()
    assert not site.manager.drain(0.05)
    assert site.states() == [("a", "1", "UNLOADING")]
    with pytest.raises(NaiadError, match="not at ready state"):
        site.house.engine.infer(request(1.0, model="a"), Caller())
    executable.let_go()
    assert site.manager.drain(PATIENCE)
    assert running.value() == 2.0
    assert site.states() == [("a", "1", "UNAVAILABLE")]


def test_what_still_runs_is_not_closed(site: Site) -> None:
    site.offer("a", 1)
    site.offer("b", 1)
    site.settle()
    backends = {made.model: made for made in site.made}
    busy = backends["a"].executables[0]
    busy.hold()
    site.house.infer(request(1.0, model="a"))
    busy.await_run()
    assert not site.manager.drain(0.05)
    site.manager._agenda.put(site.manager._close_all)
    eventually(lambda: backends["b"].closed)
    assert not busy.closed
    busy.let_go()


@pytest.mark.parametrize("trouble", [RuntimeError("the driver is gone"), SystemExit("enough")])
def test_a_version_that_cannot_be_closed_leaves_none_of_the_others_open(site: Site, trouble: BaseException) -> None:
    for name in ("a", "b", "c"):
        site.offer(name, 1)
    site.settle()
    for made in site.made:
        made.stubborn = trouble
    assert site.manager.drain(PATIENCE)
    site.manager._agenda.put(site.manager._close_all)
    eventually(lambda: all(made.closed for made in site.made))
    assert site.states() == [(name, "1", "UNAVAILABLE") for name in ("a", "b", "c")]


def test_a_backend_is_closed_even_when_its_version_cannot_be() -> None:
    closed: list[str] = []

    class Part:
        def __init__(self, name: str) -> None:
            self._name = name

        def close(self) -> None:
            closed.append(self._name)
            raise ZeroDivisionError(self._name)

    parts = Loaded(cast(Version, Part("version")), cast(Backend, Part("backend")))
    with pytest.raises(ZeroDivisionError, match="backend"):
        parts.close()
    assert closed == ["version", "backend"]


def test_what_is_still_loading_when_the_server_stops_is_closed_and_never_served(site: Site) -> None:
    late = site.plan["late"] = Event()
    site.offer("late", 1)
    site.start()
    eventually(lambda: site.states() == [("late", "1", "LOADING")])
    assert site.manager.drain(PATIENCE)
    late.set()
    eventually(lambda: bool(site.made[0].executables) and bool(site.made[0].executables[0].closed))
    assert not site.house.engine.model_ready("late", None)


def test_waiting_in_vain_ends_at_the_timeout(site: Site) -> None:
    site.plan["slow"] = Event()
    site.offer("slow", 1)
    site.start()
    before = time.monotonic()
    assert not site.manager.settled(0.01)
    assert time.monotonic() - before < PATIENCE
