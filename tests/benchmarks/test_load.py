"""Load generators against a real server: what they count is what they sent, and nothing of it is free."""

import sys
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from benchmarks import client, load, models, servers
from benchmarks.background import Background
from benchmarks.load import Target
from benchmarks.options import QUICK
from benchmarks.payloads import PAYLOADS, Payload
from benchmarks.servers import Server
from tests.requirements import require

REQUESTS = 400


@pytest.fixture(scope="module")
def naiad() -> Iterator[Server]:
    with servers.naiad("naiad", servers.ROOT / "model_repository") as server:
        yield server


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("models")
    models.pair(repository)
    with servers.naiad("naiad", repository) as server:
        yield server


def ran(server: Server) -> int:
    counted = servers.batches(server, "echo")
    return counted[0] if counted else 0


@pytest.mark.timeout(load.TRIES * load.HANGS_SECS)
def test_perf_analyzer_is_asked_for_a_number_of_requests_and_measured_over_all(naiad: Server) -> None:
    require("perf_analyzer", load.PERF_ANALYZER.exists(), "perf_analyzer is not in .venv: `make dev` says why")
    before = ran(naiad)
    measured = load.run(Target(naiad, "echo", f"INPUT0:{client.WIDTH}"), 4, REQUESTS)
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


@pytest.mark.parametrize("concurrency", [1, 4])
def test_our_client_sends_what_it_is_told_and_takes_the_models_in_turn(naiad: Server, concurrency: int) -> None:
    before = ran(naiad)
    measured = client.run(naiad, [client.zeros("echo"), client.zeros("echo")], concurrency, REQUESTS)
    assert ran(naiad) - before == REQUESTS
    assert 0 < measured.p50_us <= measured.p99_us
    assert measured.per_second > 0
    assert measured.cpu_us > 0


def test_a_request_that_is_refused_ends_the_run(naiad: Server) -> None:
    with pytest.raises(RuntimeError, match="ended without a message"):
        client.run(naiad, [client.zeros("nothing")], 1, 1)


def test_targets_are_loaded_in_each_round_and_their_batches_counted(naiad: Server) -> None:
    target = client.Target(naiad, (client.zeros("echo"),), "echo")
    options = replace(QUICK, rounds=2, seconds=0.0)
    before = ran(naiad)
    row = client.measured([target], options, 4, fewest=50)["naiad"]
    assert ran(naiad) - before == 3 * 50  # a first run tells the rate
    assert row.concurrency == 4
    assert [one.batch is not None and 1 <= one.batch <= 4 for one in row.loads] == [True, True]


@pytest.mark.parametrize("payload", PAYLOADS, ids=str)
def test_a_large_tensor_is_on_the_wire_as_often_as_it_travels(payload: Payload, pair: Server) -> None:
    traffic = client.traffic(pair, payload.message("pair"), 2)
    tensor = payload.nbytes
    assert tensor < traffic.request < 1.01 * tensor + 1000
    assert (tensor if payload.returned else 0) < traffic.answer < 1.01 * tensor * payload.returned + 1000


def test_a_background_keeps_its_model_busy_until_it_is_stopped(naiad: Server) -> None:
    before = ran(naiad)
    with Background(naiad, "echo", (client.WIDTH,), callers=2) as background:
        client.run(naiad, [client.zeros("echo")], 1, REQUESTS)
        assert background.stop() > 0
    after = ran(naiad)
    assert after - before > REQUESTS + 2
    client.run(naiad, [client.zeros("echo")], 1, REQUESTS)
    assert ran(naiad) - after == REQUESTS


def test_a_background_that_cannot_run_is_an_error(naiad: Server) -> None:
    with pytest.raises(grpc.RpcError, match="nothing"), Background(naiad, "nothing", (1,), callers=1):
        pytest.fail("it began")


def test_a_server_that_does_not_start_is_told_with_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    with pytest.raises(RuntimeError, match="no such model"), servers.started("broken", command):
        pytest.fail("it started")


def test_averages_are_of_what_ran_in_between() -> None:
    assert load.average((10, 10), (40, 20)) == 3
    assert load.average(None, (40, 20)) == 2
    assert load.average((40, 20), (40, 20)) is None
    assert load.average(None, None) is None
