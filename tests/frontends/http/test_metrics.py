"""`/metrics` over a real socket."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Iterator

import pytest

from naiad.frontends.http.metrics import accepts_gzip, application
from naiad.frontends.http.server import HttpServer
from tests.core.scripted import eventually

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TEXT = "# TYPE caf\u00e9 gauge\n" * 1000


class Page:
    """A text, or what goes wrong with it."""

    error: Exception | None = None

    def text(self) -> str:
        if self.error is not None:
            raise self.error
        return TEXT


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def connection(page: Page) -> Iterator[http.client.HTTPConnection]:
    server = HttpServer(application(page.text, CONTENT_TYPE), "metrics", "127.0.0.1", 0)
    connection = http.client.HTTPConnection("127.0.0.1", server.start(), timeout=10)
    yield connection
    connection.close()
    server.stop()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    return response, response.read()


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/metrics?format=any"])
def test_the_text_is_told_as_prometheus_wants_it(connection: http.client.HTTPConnection, path: str) -> None:
    response, body = ask(connection, "GET", path, {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert (response.status, response.headers["content-type"]) == (200, CONTENT_TYPE)
    assert response.headers["content-encoding"] is None
    assert body.decode() == TEXT


def test_head_tells_the_headers_alone(connection: http.client.HTTPConnection) -> None:
    response, body = ask(connection, "HEAD", "/metrics")
    assert (response.status, response.headers["content-type"], body) == (200, CONTENT_TYPE, b"")
    assert response.headers["content-length"] == str(len(TEXT.encode()))


def test_the_text_is_compressed_for_those_who_ask(connection: http.client.HTTPConnection) -> None:
    response, body = ask(connection, "GET", "/metrics", {"Accept-Encoding": "gzip"})
    assert (response.headers["content-encoding"], response.headers["vary"]) == ("gzip", "accept-encoding")
    assert len(body) < len(TEXT) / 10
    assert gzip.decompress(body).decode() == TEXT


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ([], False),
        ([""], False),
        (["gzip"], True),
        (["GZIP;Q=0.5"], True),
        (["deflate, gzip;q=1.0, *;q=0.5"], True),
        (["deflate", "gzip"], True),
        (["gzip;q=0"], False),
        (["gzip; q=0.000"], False),
        (["gzip;q=0.001"], True),
        (["*"], True),
        (["*;q=0"], False),
        (["gzip;q=0, *"], False),
        (["identity"], False),
        (["x-gzip"], False),
    ],
)
def test_gzip_is_accepted_by_name_or_by_star_unless_its_weight_is_0(headers: list[str], accepted: bool) -> None:
    assert accepts_gzip(headers) is accepted


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/more", "/v2/health/live", "//metrics"])
def test_other_paths_are_not_found(connection: http.client.HTTPConnection, path: str) -> None:
    response, _ = ask(connection, "GET", path)
    assert response.status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused_with_those_that_are_not(connection: http.client.HTTPConnection, method: str) -> None:
    response, _ = ask(connection, method, "/metrics")
    assert response.status == 405
    assert {name.strip() for name in response.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_one_connection_serves_one_scrape_after_the_other(connection: http.client.HTTPConnection) -> None:
    ask(connection, "GET", "/metrics")
    socket = connection.sock
    _, body = ask(connection, "GET", "/metrics")
    assert connection.sock is socket
    assert body.decode() == TEXT


def test_a_scrape_that_fails_is_an_error_and_the_next_one_is_answered(
    connection: http.client.HTTPConnection, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    page.error = RuntimeError("no figures")
    response, body = ask(connection, "GET", "/metrics")
    assert response.status == 500
    assert b"no figures" not in body
    eventually(lambda: "RuntimeError: no figures" in caplog.text)
    page.error = None
    connection.close()
    response, _ = ask(connection, "GET", "/metrics")
    assert response.status == 200
