"""Every query in the pages is asked of a real Prometheus that scrapes the server of the pages, and has an answer."""

import math
from collections.abc import Iterator

import pytest

from tests.deploy.prometheus import RULES, Prometheus, Sample, require_prometheus, shipped
from tests.docs.pages import PAGES, name, of_language
from tests.e2e.models import ask
from tests.e2e.server import PATIENCE, Server

REQUESTS = 20
QUERIES = [(page, block) for page in PAGES for block in of_language(page, "promql")]


@pytest.fixture(scope="module")
def prometheus(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with the shipped rules, after traffic that it has seen coming."""
    require_prometheus()
    counted = 'naiad_request_duration_seconds_count{model="echo"}'
    with Prometheus(tmp_path_factory.mktemp("prometheus"), shipped([served.metrics], rules=RULES)) as prometheus:
        (before,) = prometheus.wait_for(counted)
        for _ in range(REQUESTS):
            served.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE)
        prometheus.wait_for(f"{counted} == {before.value + REQUESTS}")
        yield prometheus


def number(samples: list[Sample]) -> bool:
    """Whether a sample is a number: a model that nobody asks has none where rates are divided."""
    return any(math.isfinite(sample.value) for sample in samples)


@pytest.mark.parametrize(
    "expression", [block.text for _, block in QUERIES], ids=[f"{name(page)}:{block.line}" for page, block in QUERIES]
)
def test_every_query_has_an_answer(prometheus: Prometheus, expression: str) -> None:
    assert number(prometheus.wait_for(expression, number))


def test_a_query_of_nothing_has_none(prometheus: Prometheus) -> None:
    assert prometheus.query("naiad_nothing") == []
