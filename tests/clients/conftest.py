"""The sample repository, served for all tests of clients in a worker of pytest."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import SAMPLES
from tests.e2e.server import Server


@pytest.fixture(scope="session")
def samples() -> Iterator[Server]:
    with Server(SAMPLES) as server:
        yield server
