"""The servers that tests share: one of the sample repository for all of them, in each worker of pytest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Server

SAMPLES = Path(__file__).resolve().parents[2] / "model_repository"
TRANSPORTS = ("aio", "native")


def samples_over(transport: str) -> Server:
    """The sample repository on one of TRANSPORTS, not started yet; skips the test where that is not built."""
    if transport == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    return Server(SAMPLES, flags=[f"--grpc-transport={transport}"])


@pytest.fixture(scope="session")
def samples() -> Iterator[Server]:
    """The sample repository, served. Tests that count or stop start a server of their own."""
    with Server(SAMPLES) as server:
        yield server


@pytest.fixture(scope="session", params=TRANSPORTS)
def samples_over_each_transport(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The same, once over each gRPC transport."""
    with samples_over(request.param) as server:
        yield server
