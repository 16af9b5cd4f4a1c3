"""Load generators against a real server: what they count is what they sent, and nothing of it is free."""

import sys
from collections.abc import Iterator

import pytest

from benchmarks import load, servers, spread
from benchmarks.load import Target
from benchmarks.servers import Server
from tests.requirements import require

REQUESTS = 400


@pytest.fixture(scope="module")
def naiad() -> Iterator[Server]:
    with servers.naiad("naiad", servers.ROOT / "model_repository") as server:
        yield server


def ran(server: Server) -> int:
    counted = servers.batches(server, "echo")
    return counted[0] if counted else 0


@pytest.mark.timeout(load.TRIES * load.HANGS_SECS)
def test_perf_analyzer_is_asked_for_a_number_of_requests_and_measured_over_all(naiad: Server) -> None:
    require("perf_analyzer", load.PERF_ANALYZER.exists(), "perf_analyzer is not in .venv: `make dev` says why")
    before = ran(naiad)
    measured = load.run(Target(naiad, "echo", f"INPUT0:{spread.WIDTH}"), 4, REQUESTS)
    assert (ran(naiad) - before) % REQUESTS == 0  # a run that hung is repeated
    assert measured.per_second > 0
    assert 0 < measured.p50_us <= measured.p99_us
    assert measured.cpu_us > 0
    assert measured.client_us > 0
    assert measured.batch is not None
    assert 1 <= measured.batch <= 4


@pytest.mark.timeout(load.TRIES * load.HANGS_SECS)
def test_a_run_that_fails_is_an_error_with_what_perf_analyzer_said(naiad: Server) -> None:
    require("perf_analyzer", load.PERF_ANALYZER.exists(), "perf_analyzer is not in .venv: `make dev` says why")
    with pytest.raises(RuntimeError, match=r"(?s)perf_analyzer -m echo .* against naiad:.*shape"):
        load.run(Target(naiad, "echo", "INPUT0:none"), 1, 1)


def test_load_is_spread_over_all_models_in_turn(naiad: Server) -> None:
    before = ran(naiad)
    measured = spread.run(naiad, ["echo", "echo"], 4, REQUESTS)
    assert ran(naiad) - before == REQUESTS + 1  # one to connect
    assert 0 < measured.p50_us <= measured.p99_us
    assert measured.cpu_us > 0


def test_a_server_that_does_not_start_is_told_with_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    with pytest.raises(RuntimeError, match="no such model"), servers.started("broken", command):
        pytest.fail("it started")


def test_averages_are_of_what_ran_in_between() -> None:
    assert load.average((10, 10), (40, 20)) == 3
    assert load.average(None, (40, 20)) == 2
    assert load.average((40, 20), (40, 20)) is None
    assert load.average(None, None) is None
