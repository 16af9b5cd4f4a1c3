"""What serves while versions come and go: nothing is lost by a swap, and nothing by one that fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event

import pytest

from naiad.core import lifecycle
from naiad.core.config import InstanceGroup, Kind
from naiad.core.engine import IndexEntry, Models
from naiad.core.errors import InvalidArgument, NaiadError, NotFound, Unavailable
from naiad.core.lifecycle import Phase
from naiad.repository import rollback
from naiad.repository.generations import Ended
from naiad.repository.rollback import LEAST_REQUESTS, Trust
from naiad.repository.wanted import Candidate, Wish
from tests.core.scripted import PATIENCE, Caller, Scripted, eventually, request
from tests.repository.site import Site, opened


@pytest.fixture
def site() -> Iterator[Site]:
    with opened() as site:
        yield site


def held(site: Site) -> Event:
    """Loads of content "b" wait for it."""
    event = site.plan["b"] = Event()
    return event


def swaps(site: Site, model: str) -> int:
    (found,) = [each.swaps for each in site.manager.histories() if each.name == model]
    return found


def executables(site: Site) -> list[Scripted]:
    """Of all loads, in order."""
    return [executable for made in site.made for executable in made.executables]


def test_a_new_version_takes_over_and_the_old_one_is_unloaded(site: Site) -> None:
    assert site.want("m", (1, "a")).get() == Ended()
    assert site.want("m", (2, "b"), present=(1, 2)).get() == Ended()
    assert site.ask("m", 2) == site.ask("m") == 4.0
    site.reaches("m", 1, Phase.UNLOADED)
    assert site.states() == [("m", "1", "UNAVAILABLE"), ("m", "2", "READY")]
    assert site.reasons() == ["unloaded", ""]
    assert [made.closed for made in site.made] == [True, False]
    assert swaps(site, "m") == 1


def test_what_is_on_its_way_ends_on_the_old_version_while_the_new_one_answers(site: Site) -> None:
    site.want("m", (1, "a")).get()
    (old,) = executables(site)
    old.hold()
    running = site.house.infer(request(1.0))
    queued = site.house.infer(request(3.0, width=1))
    assert old.await_run() == [1.0]
    site.want("m", (1, "b")).get()
    assert site.ask("m") == 4.0
    assert site.states() == [("m", "1", "READY")]
    assert not old.closed
    old.let_go()
    assert running.value() == 2.0
    assert queued.value() == 6.0
    eventually(lambda: bool(old.closed))
    assert old.executed == [1.0, 3.0]


def test_what_is_replaced_takes_requests_until_they_go_elsewhere(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.want("m", (1, "a")).get()
    publish = site.house.engine.publish
    callers: list[Caller] = []
    refused: list[NaiadError] = []

    def publishing(models: Models, ready: bool) -> None:
        try:
            callers.append(site.house.infer(request(2.0)))  # by what was published before
        except NaiadError as error:
            refused.append(error)
        publish(models, ready)

    monkeypatch.setattr(site.house.engine, "publish", publishing)
    site.want("m", (2, "b")).get()
    site.want("m", (3, "c")).get()
    monkeypatch.undo()
    assert {caller.value() for caller in callers} == {4.0}
    assert refused == []


def test_all_that_is_asked_while_versions_change_is_answered(site: Site) -> None:
    site.want("m", (1, "0")).get()
    callers = []
    for number in range(2, 12):
        outcome = site.want("m", (number, str(number)))
        while not outcome.known:
            callers.append(site.house.infer(request(2.0)))
            callers[-64 if len(callers) > 64 else 0].value()
    assert {caller.value() for caller in callers} == {4.0}
    eventually(lambda: [made.closed for made in site.made] == [True] * 10 + [False])
    assert swaps(site, "m") == 10


def test_other_content_under_the_same_number_is_shown_while_it_loads(site: Site) -> None:
    gate = held(site)
    site.want("m", (1, "a")).get()
    site.want("m", (1, "b"))
    eventually(lambda: site.reasons() == ["serves on while its newer files are loading"])
    assert site.ask("m") == 4.0
    gate.set()
    eventually(lambda: site.standing("m", 1).identity == "b")
    assert site.reasons() == [""]


def test_equal_content_is_not_loaded_again(site: Site) -> None:
    site.want("m", (1, "a")).get()
    assert site.want("m", (1, "a")).get() == Ended()
    assert len(site.loads) == 1
    assert swaps(site, "m") == 0


@pytest.mark.parametrize("number", [1, 2])
def test_a_new_version_that_fails_leaves_the_old_one_serving(site: Site, number: int) -> None:
    site.want("m", (1, "a")).get()
    site.plan["b"] = InvalidArgument("the file is truncated")
    ended = site.want("m", (number, "b"), present=(1, number)).get()
    assert ended == Ended(((number, "the file is truncated"),))
    assert site.ask("m") == site.ask("m", 1) == 4.0
    assert site.standing("m", 1).identity == "a"
    entries = site.manager.index(ready_only=False)
    assert entries[0].state == "READY"
    assert entries[-1].reason.endswith("the file is truncated")
    assert site.house.engine.ready()


def test_a_version_without_a_way_to_load_it_fails_with_the_reason(site: Site) -> None:
    site.settle()
    site.offer("m", v3="it holds no model file")
    site.manager.want(site.candidates)
    eventually(lambda: site.manager.index(False) == (IndexEntry("m", "3", "UNAVAILABLE", "it holds no model file"),))


def test_a_load_that_is_outdated_is_closed_and_never_served(site: Site) -> None:
    gate = held(site)
    first = site.want("m", (1, "b"))
    site.reaches("m", 1, Phase.LOADING, "b")
    second = site.want("m", (1, "c"))
    assert first.get() == Ended(superseded=True)
    assert second.get() == Ended()
    gate.set()
    eventually(lambda: [made.closed for made in site.made] == [False, True])
    assert site.standing("m", 1).identity == "c"
    assert site.ask("m") == 4.0


def test_what_is_not_wanted_any_more_is_given_up_before_it_is_there(site: Site) -> None:
    site.want("m", (1, "a")).get()
    gate = held(site)
    site.want("m", (2, "b"), present=(1, 2))
    site.reaches("m", 2, Phase.LOADING, "b")
    assert site.want("m", (1, "a")).get() == Ended()
    assert site.states() == [("m", "1", "READY")]
    gate.set()
    eventually(lambda: [made.closed for made in site.made] == [False, True])
    assert site.states() == [("m", "1", "READY")]


def test_a_version_that_was_removed_is_drained_and_forgotten(site: Site) -> None:
    site.want("m", (1, "a"), (2, "b")).get()
    site.want("m", (1, "a")).get()
    eventually(lambda: site.states() == [("m", "1", "READY")])
    with pytest.raises(NotFound, match="version 2"):
        site.ask("m", 2)
    assert site.ask("m") == 4.0


def test_a_model_that_is_gone_is_drained_and_forgotten(site: Site) -> None:
    site.want("m", (1, "a")).get()
    (executable,) = executables(site)
    executable.hold()
    running = site.house.infer(request(1.0))
    executable.await_run()
    site.manager.want((), gone=("m", "never seen"))
    eventually(lambda: site.states() == [("m", "1", "UNLOADING")])
    executable.let_go()
    assert running.value() == 2.0
    eventually(lambda: site.states() == [])
    with pytest.raises(NotFound, match="unknown model"):
        site.ask("m")
    assert site.manager.histories() == ()


def test_a_model_that_comes_back_while_it_leaves_is_loaded_anew(site: Site) -> None:
    site.want("m", (1, "a")).get()
    (executable,) = executables(site)
    executable.hold()
    running = site.house.infer(request(1.0))
    executable.await_run()
    site.manager.want((), gone=("m",))
    eventually(lambda: site.states() == [("m", "1", "UNLOADING")])
    assert site.want("m", (1, "a")).get() == Ended()
    assert site.ask("m") == 4.0
    executable.let_go()
    assert running.value() == 2.0
    eventually(lambda: bool(executable.closed))
    assert site.states() == [("m", "1", "READY")]


def test_what_waits_is_shown_and_costs_what_serves_nothing(site: Site) -> None:
    site.want("m", (1, "a")).get()
    site.want("m", waiting={1: "still changing", 2: "incomplete: it ends within field 7"}, present=())
    eventually(lambda: len(site.states()) == 2)
    assert site.states() == [("m", "1", "READY"), ("m", "2", "UNAVAILABLE")]
    assert site.reasons() == [
        "serves on while its newer files are waiting: still changing",
        "incomplete: it ends within field 7",
    ]
    assert site.ask("m") == 4.0


def test_a_broken_config_leaves_what_serves_and_stands_in_its_reason(site: Site) -> None:
    site.want("m", (1, "a")).get()
    ended = site.want("m", problem="config.pbtxt:3: expected a number", present=(1,)).get()
    assert ended == Ended(problem="config.pbtxt:3: expected a number")
    assert site.ask("m") == 4.0
    assert site.states() == [("m", "1", "READY")]
    assert "config.pbtxt:3: expected a number" in site.reasons()[0]


def test_what_nobody_asks_for_any_more_is_unloaded_and_stays_in_the_index(site: Site) -> None:
    site.want("m", (1, "a")).get()
    site.want("m", idle="unloaded").get()
    eventually(lambda: site.states() == [("m", "1", "UNAVAILABLE")])
    site.want("m", (1, "a")).get()
    assert site.ask("m") == 4.0


def test_a_model_whose_load_hangs_delays_no_other(site: Site) -> None:
    site.loaders._timeout = 0.05
    held(site)
    hung = [site.want(name, (1, "b")) for name in ("h1", "h2", "h3", "h4")]
    assert site.want("m", (1, "a")).get() == Ended()
    assert site.want("m", (2, "c")).get() == Ended()
    assert site.ask("m") == 4.0
    for each in hung:
        ((_, reason),) = each.get().failures
        assert "--model-load-timeout-secs" in reason


# Another try.


@pytest.fixture
def trying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that tries again at once."""
    monkeypatch.setattr(lifecycle, "FIRST_RETRY", 0.001)
    with opened(retries=True) as site:
        yield site


def test_what_failed_is_tried_again_until_it_loads(trying: Site) -> None:
    trying.plan["a"] = InvalidArgument("not yet")
    trying.want("m", (1, "a")).get()
    eventually(lambda: len(trying.loads) > 3)
    del trying.plan["a"]
    trying.reaches("m", 1, Phase.READY, "a")
    assert trying.ask("m") == 4.0


def test_the_next_try_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "FIRST_RETRY", 3600.0)
    with opened(retries=True) as site:
        site.plan["a"] = InvalidArgument("not yet")
        site.want("m", (1, "a")).get()
        assert "not yet (tried again at " in site.reasons()[0]
        retry_at = site.standing("m", 1).retry_at
        assert retry_at is not None
        assert 0 < retry_at - time.time() <= lifecycle.LONGEST_RETRY


def test_changed_files_are_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "FIRST_RETRY", 3600.0)
    with opened(retries=True) as site:
        site.plan["a"] = InvalidArgument("not yet")
        site.want("m", (1, "a")).get()
        assert site.want("m", (1, "b")).get() == Ended()
        assert site.ask("m") == 4.0


def test_without_retries_what_failed_stays_so(site: Site) -> None:
    site.plan["a"] = InvalidArgument("no")
    site.want("m", (1, "a")).get()
    assert site.standing("m", 1).retry_at is None
    assert site.want("m", (1, "a")).get() == Ended(((1, "no"),))
    assert len(site.loads) == 1


def test_a_load_that_was_given_up_is_not_begun_again(trying: Site) -> None:
    trying.loaders._timeout = 0.05
    held(trying)
    trying.want("m", (1, "b")).get()
    assert trying.standing("m", 1).retry_at is None
    assert len(trying.loads) == 1


# Going back.


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that goes back when more than half of the requests fail within an hour."""
    monkeypatch.setattr(rollback, "LOOK_SECONDS", 0.005)
    with opened(trust=Trust(0.5, 3600)) as site:
        yield site


def fail_requests(site: Site, count: int = LEAST_REQUESTS) -> None:
    executables(site)[-1].raises = RuntimeError("the weights are wrong")
    for _ in range(count):
        assert "the weights are wrong" in str(site.house.infer(request(1.0)).error())


def test_a_version_of_too_many_errors_is_rolled_back_to_the_one_before(trusting: Site) -> None:
    trusting.want("m", (1, "a")).get()
    trusting.want("m", (2, "b"), present=(1, 2)).get()
    trusting.reaches("m", 1, Phase.STANDBY, "a")
    assert not trusting.made[0].closed
    fail_requests(trusting)
    trusting.reaches("m", 2, Phase.FAILED, "b")
    assert trusting.ask("m") == 4.0
    assert trusting.states() == [("m", "1", "READY"), ("m", "2", "UNAVAILABLE")]
    assert trusting.reasons()[1] == (
        "rolled back: 20 of 20 requests ended in its errors, more than 50.0% (--rollback-error-rate)"
    )
    eventually(lambda: trusting.made[1].closed)


def test_what_was_rolled_back_is_loaded_again_only_when_its_files_change(trusting: Site) -> None:
    trusting.want("m", (1, "a")).get()
    trusting.want("m", (1, "b")).get()
    fail_requests(trusting)
    eventually(lambda: trusting.standing("m", 1).identity == "a")
    assert "rolled back" in trusting.reasons()[0]
    trusting.want("m", (1, "b")).get()
    assert len(trusting.loads) == 2
    trusting.want("m", (1, "c")).get()
    assert trusting.standing("m", 1).identity == "c"


def test_errors_of_clients_roll_nothing_back(trusting: Site) -> None:
    trusting.want("m", (1, "a")).get()
    trusting.want("m", (1, "b")).get()
    for _ in range(2 * LEAST_REQUESTS):
        with pytest.raises(InvalidArgument):
            trusting.house.infer(request(1.0, rows=9))
    assert trusting.ask("m") == 4.0
    trusting.handled()
    assert trusting.standing("m", 1).identity == "b"


def test_few_errors_say_nothing(trusting: Site) -> None:
    trusting.want("m", (1, "a")).get()
    trusting.want("m", (1, "b")).get()
    fail_requests(trusting, LEAST_REQUESTS - 1)
    trusting.handled()
    assert trusting.standing("m", 1).identity == "b"


def test_what_stood_by_leaves_when_the_window_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "LOOK_SECONDS", 0.005)
    with opened(trust=Trust(0.5, 0.02)) as site:
        site.want("m", (1, "a")).get()
        site.want("m", (1, "b")).get()
        eventually(lambda: site.made[0].closed)
        assert site.standing("m", 1).identity == "b"


def test_only_one_stands_by(trusting: Site) -> None:
    for identity in ("a", "b", "c"):
        trusting.want("m", (1, identity)).get()
    eventually(lambda: [made.closed for made in trusting.made] == [True, False, False])
    fail_requests(trusting)
    eventually(lambda: trusting.standing("m", 1).identity == "b")


# In place of what serves, and in place.


def test_where_both_do_not_fit_what_serves_is_closed_before_the_next_is_loaded(site: Site) -> None:
    site.want("m", (1, "a")).get()
    gate = held(site)
    outcome = site.want("m", (2, "b"), replace=True, present=(1, 2))
    eventually(lambda: ("m", 2, "b") in site.loads)
    assert site.made[0].closed
    gate.set()
    assert outcome.get() == Ended()
    assert site.ask("m") == 4.0


def test_what_was_closed_for_one_that_serves_is_not_loaded_again(site: Site) -> None:
    site.want("m", (1, "a"), replace=True).get()
    assert site.want("m", (2, "b"), replace=True, present=(1, 2)).get() == Ended()
    site.want("m", (2, "b"), replace=True, present=(1, 2)).get()
    assert site.loads == [("m", 1, "a"), ("m", 2, "b")]
    assert site.states() == [("m", "1", "UNAVAILABLE"), ("m", "2", "READY")]


def test_what_was_closed_for_one_that_fails_is_loaded_again(site: Site) -> None:
    site.want("m", (1, "a"), replace=True).get()
    site.plan["b"] = InvalidArgument("the file is truncated")
    site.want("m", (2, "b"), replace=True, present=(1, 2))
    eventually(lambda: len(site.loads) == 3)
    site.reaches("m", 1, Phase.READY, "a")
    assert site.ask("m") == 4.0
    assert site.states() == [("m", "1", "READY"), ("m", "2", "UNAVAILABLE")]


def test_only_what_is_not_wanted_any_more_makes_room(site: Site) -> None:
    site.want("m", (1, "a"), (2, "b"), replace=True).get()
    assert site.want("m", (1, "a"), (2, "b"), (3, "c"), replace=True).get() == Ended()
    assert sorted(site.loads) == [("m", 1, "a"), ("m", 2, "b"), ("m", 3, "c")]
    assert site.want("m", (2, "x"), (3, "c"), replace=True).get() == Ended()
    assert site.loads[3:] == [("m", 2, "x")]
    eventually(lambda: site.states() == [("m", "2", "READY"), ("m", "3", "READY")])


def test_what_cannot_be_loaded_at_all_makes_no_room(site: Site) -> None:
    site.want("m", (1, "a")).get()
    wish = Wish("b", "it holds no model file", replace=True)
    site.manager.want([Candidate("m", {2: wish}, present=frozenset({1, 2}))])
    site.reaches("m", 2, Phase.FAILED, "b")
    assert site.ask("m") == 4.0
    assert not site.made[0].closed


def test_requests_wait_where_nothing_serves_for_a_while(site: Site) -> None:
    site.want("m", (1, "a")).get()
    gate = held(site)
    outcome = site.want("m", (2, "b"), replace=True, present=(1, 2))
    eventually(lambda: ("m", 2, "b") in site.loads)
    latest, second = (site.house.infer(request(float(v), version=n)) for v, n in ((1, None), (2, 2)))
    with pytest.raises(Unavailable, match="version 1 is not at ready state"):
        site.house.infer(request(3.0, version=1))
    assert not site.house.engine.model_ready("m", None)
    gate.set()
    assert outcome.get() == Ended()
    assert (latest.value(), second.value()) == (2.0, 4.0)
    assert site.ask("m") == 4.0


def test_those_who_waited_are_served_by_what_was_there_before_when_the_next_fails(site: Site) -> None:
    site.want("m", (1, "a")).get()
    gate = held(site)
    site.want("m", (2, "b"), replace=True, present=(1, 2))
    eventually(lambda: ("m", 2, "b") in site.loads)
    latest, second = (site.house.infer(request(float(v), version=n)) for v, n in ((1, None), (2, 2)))
    site.fail("b", gate)
    assert latest.value() == 2.0
    assert "version 2 is not at ready state" in str(second.error())


def test_those_who_waited_are_told_when_nothing_comes(site: Site) -> None:
    site.want("m", (1, "a")).get()
    gate = held(site)
    site.want("m", (1, "b"), replace=True)
    eventually(lambda: ("m", 1, "b") in site.loads)
    waiting = site.house.infer(request(1.0))
    site.fail("b", gate)
    assert "has no available versions" in str(waiting.error())
    assert site.states() == [("m", "1", "UNAVAILABLE")]


def test_those_who_wait_are_told_when_the_server_stops(site: Site) -> None:
    site.want("m", (1, "a")).get()
    gate = held(site)
    site.want("m", (1, "b"), replace=True)
    eventually(lambda: ("m", 1, "b") in site.loads)
    waiting = site.house.infer(request(1.0))
    assert site.manager.drain(PATIENCE)
    assert str(waiting.error()) == "Server exiting"
    gate.set()


def test_a_change_of_instances_alone_loads_nothing_anew(site: Site) -> None:
    site.want("m", (1, "a")).get()
    (executable,) = executables(site)
    executable.hold()
    running = site.house.infer(request(1.0))
    executable.await_run()
    two = site.wish("m", 1, "a", (InstanceGroup("m", Kind.CPU, 2),))
    site.manager.want([Candidate("m", {1: two}, present=frozenset({1}))])
    second = site.house.infer(request(3.0))
    executable.await_run()
    executable.let_go()
    assert (running.value(), second.value()) == (2.0, 6.0)
    assert len(site.loads) == 1
    config = site.house.engine.config("m", None)
    assert [group.count for group in config.instance_groups] == [2]


# The end.


def test_nothing_is_swapped_once_the_server_stops(site: Site) -> None:
    site.want("m", (1, "a")).get()
    gate = held(site)
    site.want("m", (2, "b"), present=(1, 2))
    site.reaches("m", 2, Phase.LOADING, "b")
    site.manager.freeze()
    gate.set()
    eventually(lambda: [made.closed for made in site.made] == [False, True])
    assert site.ask("m") == 4.0
    assert site.standing("m", 2).reason == "the server is stopping"


def test_a_model_that_is_gone_keeps_none_of_the_others_from_being_drained(site: Site) -> None:
    gate = held(site)
    site.want("gone", (1, "b"))
    for name in ("a", "z"):
        site.want(name, (1, "a")).get()
    site.manager.freeze()
    site.manager.want((), gone=("gone",))
    assert site.manager.drain(PATIENCE)
    assert site.states()[-1] == ("z", "1", "UNAVAILABLE")
    gate.set()


def test_versions_that_leave_are_closed_before_the_manager_ends(site: Site) -> None:
    site.want("m", (1, "a")).get()
    (executable,) = executables(site)
    executable.hold()
    site.house.infer(request(1.0))
    executable.await_run()
    site.want("m", (1, "b")).get()
    assert not site.manager.drain(0.01)
    executable.let_go()
    assert site.manager.drain(PATIENCE)
    assert executable.closed
