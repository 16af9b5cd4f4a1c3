"""Every transport with every client of grpcio."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from naiad.frontends.grpc.transport import Transport, TransportSettings
from tests.frontends.grpc.wires import TRANSPORTS, Wire
from tests.interop.clients import CLIENTS, Client
from tests.interop.echo import Echo
from tests.interop.peer import Peer
from tests.interop.service import InteropServer

Make = Callable[[TransportSettings], Transport]
LIMIT = 2**20
"""The largest message that `echo` takes."""


@pytest.fixture(scope="module", params=sorted(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> str:
    """The name of the transport."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def make(transport: str) -> Make:
    return TRANSPORTS[transport]


@pytest.fixture(scope="module")
def server(make: Make) -> Iterator[InteropServer]:
    with InteropServer(make, TransportSettings(port=0)) as server:
        yield server


@pytest.fixture(scope="module", params=sorted(CLIENTS))
def client(server: InteropServer, request: pytest.FixtureRequest) -> Iterator[Client]:
    client = CLIENTS[request.param](server.port)
    yield client
    client.close()


@pytest.fixture
def wire(make: Make) -> Iterator[Wire]:
    """A transport whose events the test takes and answers by hand."""
    with Wire(make, TransportSettings(port=0)) as wire:
        yield wire


@pytest.fixture
def echo(make: Make) -> Iterator[Echo]:
    """A transport that sends back what it is sent, up to LIMIT."""
    with Echo(make, TransportSettings(port=0, max_message_size=LIMIT)) as echo:
        yield echo


@pytest.fixture
def peer(echo: Echo) -> Iterator[Peer]:
    """A connection to `echo`."""
    with Peer(echo.port) as peer:
        yield peer


def beyond_aio(transport: str, reason: str) -> None:
    """Skip a test on grpc.aio for something that grpc itself does otherwise, and that cannot be changed from Python."""
    if transport == "aio":
        pytest.skip(reason)
