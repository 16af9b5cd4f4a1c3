"""Naiad does in every scenario what stands there, and where Triton does something else, the documents say so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import repository
from tests.conformance.observation import difference
from tests.conformance.scenario import Scenario
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.target import Target
from tests.e2e.server import Server

COMPATIBILITY = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    models = repository.write(tmp_path_factory.mktemp("conformance") / "models")
    with Server(models) as server, Target(server.grpc) as target:
        yield target


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_client_sees_what_the_scenario_says(target: Target, scenario: Scenario) -> None:
    seen = scenario.run(target)
    assert seen == scenario.expected, "\n".join([scenario.shows, *difference(scenario.expected, seen)])


def test_every_difference_from_triton_is_documented() -> None:
    documented = COMPATIBILITY.read_text()
    assert [each.name for each in SCENARIOS if each.triton and f"`{each.name}`" not in documented] == []


def test_no_difference_is_documented_that_is_none() -> None:
    same = {each.name for each in SCENARIOS if not each.triton}
    assert [name for name in sorted(same) if f"`{name}`" in COMPATIBILITY.read_text()] == []
