"""`/metrics`, for Prometheus: the text as it is now, compressed for those who ask.

It is written on the event loop's own thread, which serves nothing else: scrapes take turns, and no health route
waits for one.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FASTEST = 1
"""The compression that takes a few milliseconds for a megabyte, and still leaves a tenth of it."""

_NEVER = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*", re.IGNORECASE)


def application(text: Callable[[], str], content_type: str) -> Starlette:
    """GET and HEAD of `/metrics` and `/metrics/`."""

    async def metrics(request: Request) -> Response:
        body = text().encode()
        headers = {"content-type": content_type, "vary": "accept-encoding"}
        if accepts_gzip(request.headers.getlist("accept-encoding")):
            body = gzip.compress(body, FASTEST)
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers)

    routes = [Route(path, metrics, methods=["GET"]) for path in ("/metrics", "/metrics/")]
    application = Starlette(routes=routes)
    application.router.redirect_slashes = False
    return application


def accepts_gzip(headers: Iterable[str]) -> bool:
    """Whether Accept-Encoding names gzip, or anything, with a weight that is not 0."""
    weights: dict[str, str] = {}
    for part in ",".join(headers).split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip().lower()] = weight
    return not _NEVER.fullmatch(weights.get("gzip", weights.get("*", "q=0")))
