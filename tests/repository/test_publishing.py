"""What the manager shows: all of it at once, at a cost that does not grow with what did not change."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from naiad.core.engine import Engine, IndexEntry, Served
from naiad.core.history import Coming, Standing
from naiad.core.lifecycle import Phase
from naiad.core.version import Version
from naiad.repository.publishing import Publisher
from tests.core.house import ByHand
from tests.core.scripted import Scripted, config


class Listener:
    """An engine, and how often it heard of changes."""

    def __init__(self, *, strict: bool = False) -> None:
        self.engine = Engine()
        self.heard = 0
        self.engine.subscribe(self._hear)
        self.publisher = Publisher(self.engine, strict=strict)

    def _hear(self) -> None:
        self.heard += 1


@pytest.fixture
def listener() -> Listener:
    return Listener()


def records(**phases: Phase) -> Mapping[int, Standing]:
    return {int(number.removeprefix("v")): Standing(phase, reason="why") for number, phase in phases.items()}


def test_the_index_is_by_name_and_version_and_shows_what_was_published(listener: Listener) -> None:
    publisher = listener.publisher
    publisher.tell("b", records(v10=Phase.READY, v9=Phase.FAILED))
    publisher.tell("a", {}, "a bad config")
    assert publisher.index(ready_only=False) == ()
    publisher.publish(ready=True)
    assert publisher.index(ready_only=False) == (
        IndexEntry("a", "", "UNAVAILABLE", "a bad config"),
        IndexEntry("b", "9", "UNAVAILABLE", "why"),
        IndexEntry("b", "10", "READY", "why"),
    )
    assert [entry.version for entry in publisher.index(ready_only=True)] == ["10"]
    publisher.tell("b", records(v10=Phase.DRAINING))
    assert publisher.index(ready_only=True) != ()
    publisher.publish(ready=True)
    assert publisher.index(ready_only=True) == ()


def test_many_changes_are_published_once_and_none_not_at_all(listener: Listener) -> None:
    for number in range(5):
        listener.publisher.tell(str(number), records(v1=Phase.LOADING))
        listener.publisher.serve(str(number), Served({}, None))
    listener.publisher.publish(ready=False)
    listener.publisher.publish(ready=False)
    assert listener.heard == 1
    listener.publisher.publish(ready=True)
    assert listener.heard == 2
    assert listener.engine.ready()


def test_the_engine_hears_even_when_there_is_nothing(listener: Listener) -> None:
    listener.publisher.publish(ready=False)
    assert listener.heard == 1


def test_what_is_no_text_is_shown_escaped(listener: Listener) -> None:
    listener.publisher.tell("a\udcffb", {}, "'x/a\udcffb' cannot be read")
    listener.publisher.publish(ready=True)
    (entry,) = listener.publisher.index(ready_only=False)
    assert entry == IndexEntry("a\\udcffb", "", "UNAVAILABLE", "'x/a\\udcffb' cannot be read")
    assert all(text.encode() for text in entry if text)


def version(number: int) -> Version:
    return ByHand(config(), [Scripted()], number=number).version


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (Standing(Phase.READY), ""),
        (Standing(Phase.FAILED, reason="bad file"), "bad file"),
        (Standing(Phase.FAILED, reason="bad file", retry_at=60), "bad file (tried again at 1970-01-01T00:01:00Z)"),
        (
            Standing(Phase.READY, coming=Coming(Phase.LOADING, "b", 0)),
            "serves on while its newer files are loading",
        ),
        (
            Standing(Phase.READY, coming=Coming(Phase.FAILED, "b", 0, "bad file", 61.5)),
            "serves on while its newer files are failed: bad file (tried again at 1970-01-01T00:01:01Z)",
        ),
        (
            Standing(Phase.READY, coming=Coming(Phase.WAITING, "", 0, "still changing")),
            "serves on while its newer files are waiting: still changing",
        ),
    ],
)
def test_the_index_says_why_a_version_stands_as_it_does(listener: Listener, standing: Standing, reason: str) -> None:
    listener.publisher.tell("m", {1: standing})
    listener.publisher.publish(ready=True)
    assert listener.publisher.index(ready_only=False)[0].reason == reason


def test_a_model_whose_config_got_wrong_serves_on_and_says_so(listener: Listener) -> None:
    listener.publisher.tell("m", records(v1=Phase.READY, v2=Phase.UNLOADED), "config.pbtxt:3: expected a number")
    listener.publisher.publish(ready=True)
    assert [entry.reason for entry in listener.publisher.index(ready_only=False)] == [
        "serves on, since what is there now cannot be served: config.pbtxt:3: expected a number",
        "why",
    ]
    assert listener.publisher.histories()[0].problem == "config.pbtxt:3: expected a number"


def test_the_history_of_a_model_has_its_versions_and_what_was_counted(listener: Listener) -> None:
    publisher = listener.publisher
    publisher.tell("m", records(v1=Phase.LOADING, v2=Phase.LOADING))
    publisher.loaded("m", 0.5)
    publisher.failed("m")
    publisher.rolled_back("m")
    publisher.drained("m", 0.25)
    versions = records(v1=Phase.READY, v2=Phase.FAILED)
    publisher.tell("m", versions)
    publisher.tell("a", {}, "a bad config")
    assert publisher.histories() == ()
    publisher.publish(ready=True)
    a, m = publisher.histories()
    assert (a.name, a.versions, a.loads, a.problem) == ("a", {}, 0, "a bad config")
    assert (m.name, m.versions, m.loads, m.load_failures, m.rollbacks) == ("m", versions, 1, 1, 1)
    assert (m.load_ns.total, sum(m.load_ns.counts)) == (500_000_000, 1)
    assert (m.drain_ns.total, sum(m.drain_ns.counts)) == (250_000_000, 1)


def test_a_model_that_is_forgotten_is_nowhere(listener: Listener) -> None:
    one = version(1)
    listener.publisher.tell("m", records(v1=Phase.READY))
    listener.publisher.serve("m", Served({1: one}, one))
    listener.publisher.publish(ready=True)
    assert listener.engine.model_ready("m", None)
    listener.publisher.forget("m")
    listener.publisher.publish(ready=True)
    assert listener.publisher.index(ready_only=False) == ()
    assert listener.publisher.histories() == ()
    assert not listener.engine.model_ready("m", None)


def test_a_swap_is_when_requests_without_a_version_go_to_another_one_after_the_first_pass(listener: Listener) -> None:
    one, two = version(1), version(2)
    steps = [
        (Served({}, None), 0),
        (Served({1: one}, one), 0),
        (Served({1: one}, one), 0),
        (Served({1: one, 2: two}, two), 1),
        (Served({2: two}, two), 1),
        (Served({}, None), 1),
        (Served({1: one}, one), 1),
        (Served({1: version(1)}, version(1)), 2),
    ]
    listener.publisher.tell("m", records(v1=Phase.READY))
    for first in (version(1), version(2)):
        listener.publisher.serve("m", Served({first.number: first}, first))
    listener.publisher.serve("m", Served({}, None))
    listener.publisher.publish(ready=True)
    for served, swaps in steps:
        listener.publisher.serve("m", served)
        listener.publisher.publish(ready=True)
        assert listener.publisher.histories()[0].swaps == swaps


def test_what_could_not_be_loaded_is_told_and_what_is_not_asked_for_is_none_of_it(listener: Listener) -> None:
    publisher = listener.publisher
    publisher.tell("a", {}, "a bad config")
    publisher.tell("b", records(v1=Phase.READY, v2=Phase.FAILED))
    publisher.tell("c", {}, idle="nobody asks for it")
    publisher.publish(ready=True)
    assert [(entry.name, entry.version) for entry in publisher.failures()] == [("a", ""), ("b", "2")]
    assert publisher.index(ready_only=False)[-1] == IndexEntry("c", "", "UNAVAILABLE", "nobody asks for it")
    assert listener.engine.ready()


def test_a_strict_server_is_ready_only_while_every_model_is() -> None:
    listener = Listener(strict=True)
    publisher = listener.publisher
    publisher.tell("a", {}, idle="nobody asks for it")
    publisher.tell("b", records(v1=Phase.READY))
    publisher.publish(ready=False)
    assert not listener.engine.ready()
    publisher.publish(ready=True)
    assert listener.engine.ready()
    publisher.tell("b", records(v1=Phase.READY, v2=Phase.FAILED))
    publisher.publish(ready=True)
    assert not listener.engine.ready()
    publisher.tell("b", records(v1=Phase.READY))
    publisher.tell("c", {}, "a bad config")
    publisher.publish(ready=True)
    assert not listener.engine.ready()
