"""The front door: what is found, what is refused and counted, and who is told of changes."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import pytest

from naiad.core.budget import Budget
from naiad.core.engine import Engine, IndexEntry, ModelMetadata, Models, Served
from naiad.core.errors import Draining, FailureReason, InvalidArgument, NaiadError, NotFound, Rejected, Unavailable
from naiad.core.history import ModelHistory, Standing
from naiad.core.lifecycle import Phase
from naiad.core.types import DataType, TensorSpec
from naiad.core.version import Version
from tests.core.house import ByHand
from tests.core.scripted import Caller, Scripted, config, request


class Hall(NamedTuple):
    """An engine over versions that run by hand: 1 and 3 of model `m`, of which 2 is known but does not serve."""

    engine: Engine
    one: ByHand
    three: ByHand
    models: Models

    @property
    def unserved(self) -> dict[FailureReason, int]:
        return {reason: count for reason, count in self.engine.unserved.items() if count}


@pytest.fixture
def hall() -> Hall:
    return opened()


def opened(budget: int = 1 << 30) -> Hall:
    one, three = ByHand(config(), [Scripted()]), ByHand(config(), [Scripted()], number=3)
    shared = Budget(budget)
    for by_hand in (one, three):
        by_hand.version._budget = shared
    serving: dict[int, Version] = {1: one.version, 3: three.version}
    models: Models = {
        "m": Served(serving, three.version, frozenset({1, 2, 3})),
        "empty": Served({}, None, frozenset({1})),
    }
    engine = Engine()
    engine.publish(models, ready=True)
    return Hall(engine, one, three, models)


MISSING = [
    ("nobody", None, NotFound, "Request for unknown model: 'nobody' is not found"),
    ("nobody", 1, NotFound, "Request for unknown model: 'nobody' is not found"),
    ("empty", None, NotFound, "Request for unknown model: 'empty' has no available versions"),
    ("empty", 1, Unavailable, "Request for unknown model: 'empty' version 1 is not at ready state"),
    ("m", 2, Unavailable, "Request for unknown model: 'm' version 2 is not at ready state"),
    ("m", 4, NotFound, "Request for unknown model: 'm' version 4 is not found"),
]


@pytest.mark.parametrize(("name", "number", "kind", "text"), MISSING)
def test_what_is_not_there_is_refused_with_the_protocols_text(
    hall: Hall, name: str, number: int | None, kind: type[NaiadError], text: str
) -> None:
    engine = hall.engine
    calls: list[Callable[[], object]] = [
        lambda: engine.infer(request(1.0, model=name, version=number), Caller()),
        lambda: engine.lookup(name, number),
        lambda: engine.config(name, number),
        lambda: engine.metadata(name, number),
    ]
    for call in calls:
        with pytest.raises(kind) as refused:
            call()
        assert type(refused.value) is kind
        assert str(refused.value) == text


def test_a_request_without_a_version_goes_to_the_highest_and_one_with_a_version_to_that(hall: Hall) -> None:
    for number, by_hand in ((None, hall.three), (1, hall.one), (3, hall.three)):
        caller = Caller()
        hall.engine.lookup("m", number)
        hall.engine.infer(request(2.0, version=number), caller)
        by_hand.run()
        assert caller.value() == 4.0


def test_what_fails_before_a_version_is_found_is_counted_by_the_engine(hall: Hall) -> None:
    for name, number in (("nobody", None), ("empty", None), ("m", 2)):
        with pytest.raises(NaiadError):
            hall.engine.infer(request(1.0, model=name, version=number), Caller())
    with pytest.raises(NaiadError):
        hall.engine.lookup("nobody", None)
    assert hall.unserved == {FailureReason.NOT_FOUND: 2, FailureReason.UNAVAILABLE: 1}


def test_what_a_version_refuses_is_counted_by_the_version_and_gives_its_bytes_back(hall: Hall) -> None:
    with pytest.raises(InvalidArgument):
        hall.engine.infer(request(1.0, rows=9), Caller())
    assert hall.three.version.statistics().failures[FailureReason.INVALID_ARGUMENT] == 1
    assert hall.three.version._budget.used == 0
    assert hall.unserved == {}


def test_a_request_that_the_budget_refuses_is_counted_as_rejected_by_its_version() -> None:
    hall = opened(budget=100)
    hall.engine.infer(request(1.0, width=20), Caller())
    with pytest.raises(
        Rejected, match="Exceeds maximum bytes in flight: 80 of 100 bytes are taken, the request has 40"
    ):
        hall.engine.infer(request(2.0, width=10), Caller())
    assert hall.three.version.statistics().failures[FailureReason.OVERLOADED] == 1
    assert hall.three.version._budget.used == 80
    hall.three.run()
    assert hall.three.version._budget.used == 0


def test_a_request_that_meets_a_draining_version_is_looked_up_once_more(hall: Hall) -> None:
    """The version is swapped between the lookup and the lease."""
    successor = ByHand(config(), [Scripted()], number=4)
    successor.version._budget = hall.three.version._budget
    hall.three.version.drain(lambda: None)
    published = dict(hall.models) | {"m": Served({4: successor.version}, successor.version)}

    class Swapping(dict[str, Served]):
        def get(self, name: str, default: object = None) -> Served | None:  # type: ignore[override]
            hall.engine.publish(published, ready=True)
            return hall.models.get(name)

    hall.engine._models = Swapping()
    caller = Caller()
    hall.engine.infer(request(2.0), caller)
    successor.run()
    assert caller.value() == 4.0
    assert hall.unserved == {}


def test_a_request_that_meets_a_draining_version_twice_is_told_so(hall: Hall) -> None:
    hall.three.version.drain(lambda: None)
    with pytest.raises(Draining) as refused:
        hall.engine.infer(request(1.0), Caller())
    assert str(refused.value) == "Request for unknown model: 'm' version 3 is not at ready state"
    assert hall.three.version.statistics().fail.count == 1
    assert hall.three.version._budget.used == 0


def test_after_stop_everything_new_is_refused_and_what_was_queued_is_answered(hall: Hall) -> None:
    before = Caller()
    hall.engine.infer(request(1.0), before)
    hall.engine.stop()
    with pytest.raises(Unavailable, match=r"^Server exiting$"):
        hall.engine.infer(request(2.0), Caller())
    with pytest.raises(Unavailable, match=r"^Server exiting$"):
        hall.engine.metadata("m", None)
    assert (hall.engine.live(), hall.engine.ready(), hall.engine.model_ready("m", None)) == (True, False, False)
    hall.three.run()
    assert before.value() == 2.0


def test_a_retired_server_is_not_ready_and_serves_on(hall: Hall) -> None:
    told: list[bool] = []
    hall.engine.subscribe(lambda: told.append(hall.engine.ready()))
    hall.engine.retire()
    assert told == [False]
    caller = Caller()
    hall.engine.infer(request(1.0), caller)
    hall.three.run()
    assert caller.value() == 2.0
    assert not hall.engine.model_ready("m", None)


def test_the_server_is_ready_once_the_first_pass_of_loading_has_ended() -> None:
    engine = Engine()
    assert (engine.live(), engine.ready()) == (True, False)
    engine.publish({}, ready=False)
    assert not engine.ready()
    engine.publish({}, ready=True)
    assert engine.ready()


@pytest.mark.parametrize(
    ("name", "number", "ready"),
    [("m", None, True), ("m", 1, True), ("m", 2, False), ("empty", None, False), ("nobody", None, False)],
)
def test_a_model_is_ready_when_a_request_for_it_would_be_taken(
    hall: Hall, name: str, number: int | None, ready: bool
) -> None:
    assert hall.engine.model_ready(name, number) is ready


def test_metadata_names_all_versions_that_serve_or_the_one_that_was_asked_for(hall: Hall) -> None:
    spec = DataType.FP32, (-1, -1)
    expected = ModelMetadata("m", (1, 3), "scripted", (TensorSpec("x", *spec),), (TensorSpec("y", *spec),))
    assert hall.engine.metadata("m", None) == expected
    assert hall.engine.metadata("m", 1) == expected._replace(versions=(1,))
    assert hall.engine.config("m", 1) is hall.one.version.config


def test_statistics_are_those_of_the_versions_that_serve(hall: Hall) -> None:
    hall.engine.infer(request(1.0), Caller())

    def found(name: str, number: int | None) -> list[tuple[str, int, int]]:
        return [(s.name, s.version, s.pending) for s in hall.engine.statistics(name, number)]

    assert found("", None) == found("m", None) == [("m", 1, 0), ("m", 3, 1)]
    assert found("m", 3) == [("m", 3, 1)]
    for name in ("nobody", "empty"):
        with pytest.raises(InvalidArgument, match=f"^requested model '{name}' is not available$"):
            hall.engine.statistics(name, None)
    with pytest.raises(InvalidArgument, match=r"^requested model version is not available for model 'm'$"):
        hall.engine.statistics("m", 2)


def test_before_anything_is_published_the_server_says_that_it_is_not_ready() -> None:
    engine = Engine()
    with pytest.raises(Unavailable, match=r"^Server not ready$"):
        engine.infer(request(1.0), Caller())
    with pytest.raises(Unavailable, match=r"^Server not ready$"):
        engine.lookup("m", None)
    assert not engine.model_ready("m", None)


def test_a_wrong_request_is_told_what_is_wrong_with_it_when_the_budget_is_full_too() -> None:
    hall = opened(budget=100)
    hall.engine.infer(request(1.0, width=20), Caller())
    wrong = request(2.0, width=10)
    with pytest.raises(InvalidArgument, match="input byte size mismatch"):
        hall.engine.infer(wrong._replace(data=(wrong.data[0][:, :1],)), Caller())


def test_the_map_is_replaced_whole_and_cannot_be_changed(hall: Hall) -> None:
    models = dict(hall.models)
    hall.engine.publish(models, ready=True)
    models.clear()
    assert hall.engine.model_ready("m", None)
    assert isinstance(hall.engine._models, MappingProxyType)


def test_listeners_are_told_of_every_change_until_they_unsubscribe(hall: Hall) -> None:
    told: list[str] = []
    end = hall.engine.subscribe(lambda: told.append("first"))
    hall.engine.subscribe(lambda: told.append("second"))
    hall.engine.publish({}, ready=True)
    assert told == ["first", "second"]
    end()
    end()
    hall.engine.stop()
    assert told == ["first", "second", "second"]


def test_the_index_and_the_histories_are_the_managers(hall: Hall) -> None:
    class Manager:
        def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
            return (IndexEntry("m", "1", "READY" if ready_only else "LOADING", ""),)

        def histories(self) -> tuple[ModelHistory, ...]:
            return (history,)

    history = ModelHistory("m", {1: Standing(Phase.LOADING)})
    assert hall.engine.index(ready_only=True) == ()
    hall.engine.govern(Manager())
    assert hall.engine.index(ready_only=True) == (IndexEntry("m", "1", "READY", ""),)
    assert hall.engine.histories() == (history,)
