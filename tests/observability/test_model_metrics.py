"""What is told of models and versions that are not served, too."""

from __future__ import annotations

import pytest

from naiad.core.histogram import Distribution, Histogram
from naiad.core.history import LIFE_NS, Coming, ModelHistory, Standing
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
    found = scrape(ModelHistory("m", {number: Standing(phase) for number, phase in phases.items()}))
    assert stands(found) == {("m", str(number)): [phase.value] for number, phase in phases.items()}
    assert len(found.labels("naiad_model_state")) == len(Phase) ** 2


def test_a_model_of_which_nothing_can_be_served_stands_as_failed_without_a_version() -> None:
    found = scrape(ModelHistory("broken", load_failures=1), ModelHistory("empty"))
    assert stands(found) == {("broken", ""): ["failed"]}
    assert found.value("naiad_model_loads_total", model="broken", outcome="failure") == 1


def test_loads_and_swaps_are_counted_by_model_and_timed_by_version() -> None:
    versions = {
        1: Standing(Phase.UNLOADED, load_seconds=0.5),
        2: Standing(Phase.READY, load_seconds=1.25),
        3: Standing(Phase.FAILED),
    }
    found = scrape(
        ModelHistory("m", versions, loads=2, load_failures=1, swaps=1, rollbacks=4, load_ns=taking(0.5, 1.25)),
        ModelHistory("n", {1: Standing(Phase.LOADING)}),
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
    assert found.values["naiad_model_rollbacks_total"] == {series(model="m"): 4, series(model="n"): 0}
    assert found.values["naiad_model_load_seconds_count"] == {series(model="m"): 2}
    assert found.value("naiad_model_load_seconds_sum", model="m") == 1.75
    assert found.value("naiad_model_load_seconds_bucket", model="m", le="0.5") == 1
    assert found.value("naiad_model_load_seconds_bucket", model="m", le="5") == 2


def taking(*seconds: float) -> Histogram:
    distribution = Distribution(LIFE_NS)
    distribution.add(int(each * 1e9) for each in seconds)
    return distribution.read()


def test_drains_are_timed_by_model_once_there_was_one() -> None:
    found = scrape(ModelHistory("m", drain_ns=taking(0.02)), ModelHistory("n"))
    assert found.values["naiad_model_drain_seconds_count"] == {series(model="m"): 1}
    assert found.value("naiad_model_drain_seconds_bucket", model="m", le="0.01") == 0
    assert found.value("naiad_model_drain_seconds_bucket", model="m", le="0.1") == 1


def test_what_comes_beside_a_version_that_serves_is_told_and_when_it_is_tried_again() -> None:
    coming = Coming(Phase.FAILED, "b", 1.0, "truncated", retry_at=1700000005.0)
    versions = {
        1: Standing(Phase.READY, "a", coming=coming),
        2: Standing(Phase.FAILED, "c", retry_at=1700000009.0),
        3: Standing(Phase.READY, "d"),
    }
    found = scrape(ModelHistory("m", versions))
    assert found.values["naiad_model_coming"] == {series(model="m", version="1", state="failed"): 1}
    assert found.values["naiad_model_next_load_timestamp_seconds"] == {
        series(model="m", version="1"): 1700000005,
        series(model="m", version="2"): 1700000009,
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("naiad_model_state", "gauge"),
        ("naiad_model_load_duration_seconds", "gauge"),
        ("nv_model_load_duration_secs", "gauge"),
        ("naiad_model_loads_total", "counter"),
        ("naiad_model_swaps_total", "counter"),
        ("naiad_model_rollbacks_total", "counter"),
        ("naiad_model_coming", "gauge"),
        ("naiad_model_next_load_timestamp_seconds", "gauge"),
        ("naiad_model_load_seconds", "histogram"),
        ("naiad_model_drain_seconds", "histogram"),
    ],
)
def test_families_have_their_types(name: str, kind: str) -> None:
    standing = Standing(Phase.READY, load_seconds=1.0, coming=Coming(Phase.LOADING, "b", 1.0, retry_at=2.0))
    of = ModelHistory("m", {1: standing}, loads=1, load_ns=taking(1), drain_ns=taking(1))
    assert scrape(of).types[name] == kind
