"""Every attack is tried on every transport."""

import pytest

from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import TRANSPORTS


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def make(transport: str) -> Make:
    return TRANSPORTS[transport]
