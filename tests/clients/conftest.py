"""The sample repository, served for all tests of clients in a worker of pytest."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import SAMPLES, TRANSPORTS, samples_over
from tests.e2e.server import Server


@pytest.fixture(scope="session")
def samples() -> Iterator[Server]:
    with Server(SAMPLES) as server:
        yield server


@pytest.fixture(scope="session", params=TRANSPORTS)
def samples_over_each_transport(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The same, once over each gRPC transport."""
    with samples_over(request.param) as server:
        yield server
