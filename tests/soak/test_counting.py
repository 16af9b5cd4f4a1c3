"""How growth is told from noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.soak.counting import MB, Allowed, Outside, State, comes_back, growth, slope
from tests.soak.probe import Told

TOLD = Told(objects={"builtins.list": 10}, blocks=1000, allocated=50 * MB, traced=0, wire={}, runners=1)
STATE = State(0.0, Outside(threads=3, descriptors=9, resident=100 * MB), TOLD)
NOTHING = Allowed(resident=0, objects=0, blocks=0, allocated=0)


def told(allocated: int = 50 * MB, **objects: int) -> Told:
    return {**TOLD, "allocated": allocated, "objects": TOLD["objects"] | objects}


def minutes(allocated: Sequence[float]) -> list[State]:
    """States of which one is as many minutes after another as it stands behind it. allocated: in MB."""
    return [State(60.0 * at, STATE.outside, told(round(one * MB))) for at, one in enumerate(allocated)]


def residents(*resident: int) -> list[State]:
    return [replace(STATE, outside=replace(STATE.outside, resident=one * MB)) for one in resident]


def test_the_same_again_has_not_grown() -> None:
    assert growth(STATE, STATE, NOTHING) == []


def test_what_has_grown_is_told_with_its_numbers() -> None:
    grown = State(1.0, Outside(threads=4, descriptors=11, resident=101 * MB), told(51 * MB, Call=2))
    assert growth(STATE, grown, NOTHING) == [
        "threads: 2 -> 3",
        "descriptors: 9 -> 11",
        f"resident bytes: {100 * MB} -> {101 * MB}",
        f"allocated bytes: {50 * MB} -> {51 * MB}",
        "objects of Call: 0 -> 2",
    ]


def test_what_is_allowed_and_what_is_ignored_is_not_told() -> None:
    grown = replace(STATE, told=told(50 * MB + 5, Call=2, Loop=70))
    assert growth(STATE, grown, replace(NOTHING, allocated=5, objects=2, ignored=frozenset({"Loop"}))) == []


def test_the_slope_is_that_of_the_second_half() -> None:
    assert slope(minutes([0, 9, 18, 27, *(30 + 0.25 * at for at in range(8))])) == pytest.approx(0.25 * MB, rel=1e-3)


def test_what_is_held_for_a_moment_has_no_slope() -> None:
    assert slope(minutes([10, 10, 10, 10, 10, 10, 20, 10, 10, 10, 10, 30])) == 0


def test_memory_that_goes_up_and_down_comes_back() -> None:
    assert comes_back(residents(100, 120, 110, 125, 115, 130))


def test_memory_that_only_goes_up_does_not_come_back() -> None:
    assert not comes_back(residents(100, 110, 120, 130, 140, 150))
