"""The HTTP frontend's health routes over a real socket."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from naiad.core.engine import Engine
from naiad.frontends.http import health
from naiad.frontends.http.server import HttpServer


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def base(engine: Engine) -> Iterator[str]:
    server = HttpServer(health.application(engine), "health", "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.start()}"
    server.stop()


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - the url is our own
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_server_lives_from_its_start_and_is_ready_after_the_first_pass_of_loading(engine: Engine, base: str) -> None:
    assert status(f"{base}/v2/health/live") == 200
    assert status(f"{base}/v2/health/ready") == 400
    engine.publish({}, ready=False)
    assert status(f"{base}/v2/health/ready") == 400
    engine.publish({}, ready=True)
    assert status(f"{base}/v2/health/ready") == 200


def test_a_server_that_goes_away_is_not_ready_but_lives(engine: Engine, base: str) -> None:
    engine.publish({}, ready=True)
    engine.retire()
    assert status(f"{base}/v2/health/ready") == 400
    assert status(f"{base}/v2/health/live") == 200


def test_other_paths_are_not_found(base: str) -> None:
    assert status(f"{base}/v2/health/other") == 404


def test_a_port_in_use_is_an_error_at_start(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HttpServer(health.application(engine), "health", "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            server.start()
        server.stop()
