"""A real server under a real Prometheus, after some traffic, for all tests that only ask."""

from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pytest

from tests.deploy.prometheus import Prometheus, require_prometheus, shipped
from tests.e2e.models import BATCHING, ask, identity
from tests.e2e.server import PATIENCE, Server

POD = {"pod": "naiad-0"}
REQUESTS, ROWS, FAILURES = 20, 3, 3


class Watched(NamedTuple):
    """`plain` and `batched` have answered REQUESTS requests each, of ROWS rows if batched.

    FAILURES have failed: one for each that was wrong, and one for a model that is not there.
    """

    server: Server
    prometheus: Prometheus


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with all families that a machine without a GPU can have."""
    repository = identity(tmp_path_factory.mktemp("models"), "plain", delay_ms=2, more="")
    identity(repository, "batched", delay_ms=2, max_batch_size=8, more=BATCHING)
    with Server(repository, flags=["--metrics-config=histogram_latencies=true"]) as server:
        yield server


@pytest.fixture(scope="session")
def watched(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    require_prometheus()
    config = shipped([served.metrics], POD)
    with Prometheus(tmp_path_factory.mktemp("prometheus"), config) as prometheus:
        prometheus.wait_for("nv_inference_request_success == 0", lambda found: len(found) == 2)
        make_traffic(served)
        prometheus.wait_for(f"nv_inference_request_success == {REQUESTS}", lambda found: len(found) == 2)
        prometheus.wait_for(f"sum(naiad_request_failures_total) == {FAILURES}")
        yield Watched(served, prometheus)


def make_traffic(server: Server) -> None:
    """Some of everything: answers, batches, requests that are wrong, and one for a model that is not there."""
    right = [ask("plain", 1), ask("batched", *range(ROWS))]
    calls = [server.stub.ModelInfer.future(message, timeout=PATIENCE) for message in right * REQUESTS]
    for call in calls:
        call.result()
    for message in (ask("plain", 1, width=2), ask("batched", *range(9)), ask("unknown", 1)):
        assert server.stub.ModelInfer.future(message, timeout=PATIENCE).code() is not grpc.StatusCode.OK
