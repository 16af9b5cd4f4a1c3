"""States of a version: every move, legal or not, and what is to be done next."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naiad.core.lifecycle import MOVES, WIRE_STATES, Action, IllegalMove, Phase, Record, Verb, next_actions

LEGAL = {
    ("settled", "loading"),
    ("loading", "warming"),
    ("loading", "ready"),
    ("loading", "failed"),
    ("warming", "ready"),
    ("warming", "failed"),
    ("ready", "draining"),
    ("ready", "standby"),
    ("ready", "restarting"),
    ("restarting", "ready"),
    ("restarting", "failed"),
    ("restarting", "draining"),
    ("standby", "ready"),
    ("standby", "draining"),
    ("draining", "unloaded"),
    ("unloaded", "settled"),
    ("unloaded", "loading"),
    ("failed", "settled"),
    ("failed", "loading"),
    ("failed", "unloaded"),
}
LOADS = {Phase.SETTLED, Phase.UNLOADED}
LIVES = {Phase.READY, Phase.STANDBY, Phase.RESTARTING}

patient = settings(deadline=None)
versions = st.integers(1, 5)
wanted_versions = st.frozensets(versions)
records = st.dictionaries(versions, st.sampled_from(Phase).map(lambda phase: Record(phase, 0.0)))


@pytest.mark.parametrize(("start", "end"), list(product(Phase, Phase)), ids=lambda phase: phase.value)
def test_a_version_moves_only_where_the_table_lets_it(start: Phase, end: Phase) -> None:
    record = Record(start, 1.0, "before")
    if (start.value, end.value) in LEGAL:
        assert record.to(end, 2.0, "after") == Record(end, 2.0, "after")
    else:
        with pytest.raises(IllegalMove, match=rf"^{start.value} -> {end.value}$"):
            record.to(end, 2.0)


def test_every_phase_has_moves_and_a_state_of_the_protocol() -> None:
    assert set(MOVES) == set(WIRE_STATES) == set(Phase)
    assert set(WIRE_STATES.values()) == {"LOADING", "READY", "UNLOADING", "UNAVAILABLE"}


def test_a_move_forgets_the_reason_of_the_last_one() -> None:
    assert Record(Phase.FAILED, 1.0, "no such file").to(Phase.LOADING, 2.0).reason == ""


@pytest.mark.parametrize("phase", Phase)
def test_only_a_ready_version_serves(phase: Phase) -> None:
    record = Record(phase, 0.0)
    assert record.serves == (phase is Phase.READY) == (record.wire_state == "READY")


def test_what_is_wanted_and_not_there_is_loaded_newest_first() -> None:
    assert next_actions(frozenset({1, 3, 2}), {2: Record(Phase.UNLOADED, 0.0)}) == [
        Action(Verb.LOAD, 3),
        Action(Verb.LOAD, 2),
        Action(Verb.LOAD, 1),
    ]


def test_a_failed_version_is_left_alone() -> None:
    assert next_actions(frozenset({1}), {1: Record(Phase.FAILED, 0.0, "bad file")}) == []


def test_the_old_version_serves_until_the_new_one_does() -> None:
    old = Record(Phase.READY, 0.0)
    for phase in set(Phase) - {Phase.READY}:
        actions = next_actions(frozenset({2}), {1: old, 2: Record(phase, 0.0)})
        assert Action(Verb.UNLOAD, 1) not in actions
    assert next_actions(frozenset({2}), {1: old, 2: Record(Phase.READY, 0.0)}) == [Action(Verb.UNLOAD, 1)]


@patient
@given(wanted_versions, records)
def test_a_serving_version_is_never_unloaded_while_no_wanted_one_serves(
    wanted: frozenset[int], actual: dict[int, Record]
) -> None:
    unloads = [action.version for action in next_actions(wanted, actual) if action.verb is Verb.UNLOAD]
    if wanted and not any(version in actual and actual[version].serves for version in wanted):
        assert unloads == []


@patient
@given(records)
def test_when_nothing_is_wanted_all_that_lives_is_unloaded(actual: dict[int, Record]) -> None:
    lives = sorted((v for v, record in actual.items() if record.phase in LIVES), reverse=True)
    assert next_actions(frozenset(), actual) == [Action(Verb.UNLOAD, version) for version in lives]


@patient
@given(wanted_versions, records)
def test_only_what_is_wanted_is_loaded_and_only_what_is_not_is_unloaded(
    wanted: frozenset[int], actual: dict[int, Record]
) -> None:
    actions = next_actions(wanted, actual)
    assert len(set(actions)) == len(actions)
    loads = {action.version for action in actions if action.verb is Verb.LOAD}
    unloads = {action.version for action in actions if action.verb is Verb.UNLOAD}
    assert loads == {v for v in wanted if v not in actual or actual[v].phase in LOADS}
    assert unloads <= {v for v, record in actual.items() if record.phase in LIVES} - wanted


def acted(action: Action, actual: dict[int, Record]) -> dict[int, Record]:
    """The records once an action has begun."""
    before = actual.get(action.version, Record(Phase.SETTLED, 0.0))
    return actual | {action.version: before.to(Phase.LOADING if action.verb is Verb.LOAD else Phase.DRAINING, 1.0)}


@patient
@given(wanted_versions, records)
def test_an_action_that_has_begun_is_not_asked_for_again(wanted: frozenset[int], actual: dict[int, Record]) -> None:
    for action in next_actions(wanted, actual):
        actual = acted(action, actual)
    assert next_actions(wanted, actual) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.frozensets(versions, min_size=1), min_size=1, max_size=5), st.data())
def test_a_model_that_serves_goes_on_serving_whatever_is_wanted_and_whatever_fails(
    wishes: list[frozenset[int]], data: st.DataObject
) -> None:
    actual = {1: Record(Phase.READY, 0.0)}
    for wanted in wishes:
        for _ in range(3):
            for action in next_actions(wanted, actual):
                actual = acted(action, actual)
            assert any(record.serves for record in actual.values())
            for version, record in actual.items():
                if record.phase is Phase.LOADING:
                    end = data.draw(st.sampled_from([Phase.LOADING, Phase.READY, Phase.FAILED]))
                    actual[version] = record if end is Phase.LOADING else record.to(end, 2.0)
                elif record.phase is Phase.DRAINING:
                    actual[version] = record.to(Phase.UNLOADED, 2.0)
