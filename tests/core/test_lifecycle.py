"""States of a version: every move, legal or not, and what is to be done next."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naiad.core.lifecycle import (
    MOVES,
    WIRE_STATES,
    Action,
    Coming,
    Held,
    IllegalMove,
    Phase,
    Record,
    Verb,
    next_actions,
    retry_after,
)

LEGAL = {
    ("waiting", "settled"),
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


def held(serving: str | None = None, coming: str | None = None, *, retry_at: float | None = None) -> Held:
    """What there is under a number; a coming one with an exclamation mark has failed."""
    if coming is None:
        return Held(serving)
    return Held(serving, Coming(coming.rstrip("!"), coming.endswith("!"), retry_at))


@pytest.mark.parametrize(
    ("wanted", "there", "verb"),
    [
        (None, held(), None),
        ("a", held(), Verb.LOAD),
        ("a", held("a"), None),
        ("b", held("a"), Verb.LOAD),
        ("b", held("a", "b"), None),
        ("b", held("a", "b!"), None),
        ("c", held("a", "b"), Verb.LOAD),
        ("c", held("a", "b!"), Verb.LOAD),
        ("a", held("a", "b"), Verb.DROP),
        ("a", held("a", "b!"), Verb.DROP),
        (None, held(None, "b"), Verb.DROP),
        (None, held(None, "b!"), Verb.DROP),
        ("b", held(None, "b!", retry_at=5.0), Verb.LOAD),
        ("b", held("a", "b!", retry_at=5.0), Verb.LOAD),
        ("b", held(None, "b!", retry_at=5.1), None),
    ],
)
def test_what_is_to_be_done_about_what_is_coming(wanted: str | None, there: Held, verb: Verb | None) -> None:
    wishes = {} if wanted is None else {1: wanted}
    expected = [] if verb is None else [Action(verb, 1)]
    assert next_actions(wishes, {1: there}, 5.0, waiting={9}) == expected


def test_what_is_wanted_and_not_there_is_loaded_newest_first() -> None:
    loads = [Action(Verb.LOAD, version) for version in (3, 2, 1)]
    assert next_actions({1: "a", 3: "c", 2: "b"}, {}, 0.0) == loads


@pytest.mark.parametrize(
    ("wanted", "serving", "present", "unloaded"),
    [
        ({2: "b"}, {1: "a"}, {1, 2}, []),
        ({2: "b"}, {1: "a", 2: "b"}, {1, 2}, [1]),
        ({2: "b", 3: "c"}, {1: "a", 2: "b"}, {1, 2, 3}, []),
        ({2: "b", 3: "c"}, {1: "a", 2: "b"}, {2, 3}, [1]),
        ({2: "b", 3: "c"}, {0: "z", 1: "a", 2: "b", 3: "c"}, {0, 1, 2, 3}, [1, 0]),
        ({2: "b"}, {1: "a"}, {2}, []),
        ({}, {1: "a"}, {1}, []),
        ({}, {1: "a"}, set(), [1]),
    ],
    ids=[
        "its successor does not serve",
        "its successor serves",
        "one of two successors does not serve",
        "it was removed and one of two successors serves",
        "all that are wanted serve",
        "it was removed and its successor does not serve",
        "nothing is wanted, but it is there",
        "nothing is wanted and nothing is there",
    ],
)
def test_when_a_version_that_is_not_wanted_is_let_go(
    wanted: dict[int, str], serving: dict[int, str], present: set[int], unloaded: list[int]
) -> None:
    actual = {number: held(identity) for number, identity in serving.items()}
    actions = next_actions(wanted, actual, 0.0, present=present)
    assert [action.version for action in actions if action.verb is Verb.UNLOAD] == unloaded


def test_what_serves_stays_while_something_waits_to_settle() -> None:
    assert next_actions({}, {1: held("a")}, 0.0, waiting={2}) == []


@pytest.mark.parametrize(("failures", "seconds"), [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (1000, 300)])
def test_each_failure_doubles_the_time_to_the_next_try_up_to_five_minutes(failures: int, seconds: float) -> None:
    assert retry_after(failures) == seconds


versions = st.integers(1, 4)
contents = st.sampled_from("abc")
wishes = st.dictionaries(versions, contents)
holdings = st.dictionaries(
    versions,
    st.builds(
        Held,
        st.none() | contents,
        st.none() | st.builds(Coming, contents, st.booleans(), st.none() | st.floats(0, 10)),
    ),
)
patient = settings(deadline=None)


def acted(actions: list[Action], wanted: dict[int, str], actual: dict[int, Held]) -> dict[int, Held]:
    """What there is once all actions have begun."""
    actual = dict(actual)
    for verb, version in actions:
        there = actual.get(version, Held())
        if verb is Verb.LOAD:
            actual[version] = there._replace(coming=Coming(wanted[version]))
        elif verb is Verb.DROP:
            actual[version] = there._replace(coming=None)
        else:
            actual[version] = there._replace(serving=None)
    return actual


@patient
@given(wishes, holdings, st.frozensets(versions), st.frozensets(versions))
def test_an_action_that_has_begun_is_not_asked_for_again(
    wanted: dict[int, str], actual: dict[int, Held], waiting: frozenset[int], present: frozenset[int]
) -> None:
    actions = next_actions(wanted, actual, 5.0, waiting=waiting, present=present)
    assert len(set(actions)) == len(actions)
    begun = acted(actions, wanted, actual)
    assert next_actions(wanted, begun, 5.0, waiting=waiting, present=present) == []


@patient
@given(wishes, holdings, st.frozensets(versions), st.frozensets(versions))
def test_what_is_wanted_is_never_unloaded_and_nothing_else_is_loaded(
    wanted: dict[int, str], actual: dict[int, Held], waiting: frozenset[int], present: frozenset[int]
) -> None:
    actions = next_actions(wanted, actual, 5.0, waiting=waiting, present=present)
    assert {version for verb, version in actions if verb is Verb.LOAD} <= wanted.keys()
    assert not {version for verb, version in actions if verb is Verb.UNLOAD} & wanted.keys()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(versions, contents, min_size=1), min_size=1, max_size=5), st.data())
def test_a_model_that_serves_goes_on_serving_whatever_is_wanted_and_whatever_fails(
    wanted_in_turn: list[dict[int, str]], data: st.DataObject
) -> None:
    actual = {1: Held("a")}
    for wanted in wanted_in_turn:
        for now in range(3):
            actions = next_actions(wanted, actual, float(now), present=wanted)
            actual = acted(actions, wanted, actual)
            assert any(there.serving for there in actual.values())
            for version, there in actual.items():
                if there.coming is not None and not there.coming.failed:
                    end = data.draw(st.sampled_from(["loading", "ready", "failed"]))
                    if end == "ready":
                        actual[version] = Held(there.coming.identity)
                    elif end == "failed":
                        actual[version] = there._replace(coming=Coming(there.coming.identity, True, now + 1.0))


@patient
@given(wishes, holdings)
def test_what_loads_well_ends_in_exactly_what_is_wanted(wanted: dict[int, str], actual: dict[int, Held]) -> None:
    for _ in range(4):
        actual = acted(next_actions(wanted, actual, 100.0, present=wanted), wanted, actual)
        actual = {
            version: Held(there.coming.identity) if there.coming and not there.coming.failed else there
            for version, there in actual.items()
        }
    stuck = {v for v, there in actual.items() if there.coming and there.coming.retry_at is None and v in wanted}
    serving = {version: there.serving for version, there in actual.items() if there.serving is not None}
    if not stuck:
        assert serving == wanted
