"""What is told of models and versions that are not served, too."""

from __future__ import annotations

import pytest

from naiad.core.engine import ModelHistory
from naiad.core.lifecycle import Phase
from naiad.observability.exposition import text
from naiad.observability.model_metrics import blocks
from tests.observability.scrapes import Scrape, read, series


def scrape(*histories: ModelHistory) -> Scrape:
    return read(text(blocks(histories)))


def stands(found: Scrape) -> dict[tuple[str, str], list[str]]:
    """The states that are at 1, by model and version."""
    states: dict[tuple[str, str], list[str]] = {}
    for key, value in found.values["naiad_model_state"].items():
        of = dict(key)
        at_one = states.setdefault((of["model"], of["version"]), [])
        if value:
            assert value == 1
            at_one.append(of["state"])
    return states


def test_each_version_stands_in_exactly_one_of_all_states() -> None:
    phases = dict(enumerate(Phase, start=1))
    found = scrape(ModelHistory("m", phases, {}, 0, 0, 0))
    assert stands(found) == {("m", str(number)): [phase.value] for number, phase in phases.items()}
    assert len(found.labels("naiad_model_state")) == len(Phase) ** 2


def test_a_model_of_which_nothing_can_be_served_stands_as_failed_without_a_version() -> None:
    found = scrape(ModelHistory("broken", {}, {}, 0, 1, 0), ModelHistory("empty", {}, {}, 0, 0, 0))
    assert stands(found) == {("broken", ""): ["failed"]}
    assert found.value("naiad_model_loads_total", model="broken", outcome="failure") == 1


def test_loads_and_swaps_are_counted_by_model_and_timed_by_version() -> None:
    phases = {1: Phase.UNLOADED, 2: Phase.READY, 3: Phase.FAILED}
    found = scrape(
        ModelHistory("m", phases, {1: 0.5, 2: 1.25}, 2, 1, 1), ModelHistory("n", {1: Phase.LOADING}, {}, 0, 0, 0)
    )
    for name in ("naiad_model_load_duration_seconds", "nv_model_load_duration_secs"):
        assert found.values[name] == {series(model="m", version="1"): 0.5, series(model="m", version="2"): 1.25}
    assert found.values["naiad_model_loads_total"] == {
        series(model="m", outcome="success"): 2,
        series(model="m", outcome="failure"): 1,
        series(model="n", outcome="success"): 0,
        series(model="n", outcome="failure"): 0,
    }
    assert found.values["naiad_model_swaps_total"] == {series(model="m"): 1, series(model="n"): 0}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("naiad_model_state", "gauge"),
        ("naiad_model_load_duration_seconds", "gauge"),
        ("nv_model_load_duration_secs", "gauge"),
        ("naiad_model_loads_total", "counter"),
        ("naiad_model_swaps_total", "counter"),
    ],
)
def test_families_have_their_types(name: str, kind: str) -> None:
    assert scrape(ModelHistory("m", {1: Phase.READY}, {1: 1.0}, 1, 0, 0)).types[name] == kind
