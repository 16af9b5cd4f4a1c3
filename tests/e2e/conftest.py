"""The servers that tests share: one of the sample repository for all of them, in each worker of pytest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Server

SAMPLES = Path(__file__).resolve().parents[2] / "model_repository"


@pytest.fixture(scope="session")
def samples() -> Iterator[Server]:
    """The sample repository, served. Tests that count or stop start a server of their own."""
    with Server(SAMPLES) as server:
        yield server
