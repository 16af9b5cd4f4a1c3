"""The protocol's health routes."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from naiad.core.engine import Engine


def application(engine: Engine) -> Starlette:
    """The routes: `/v2/health/live` and `/v2/health/ready` answer 200 for yes and 400 for no, without a body."""

    async def live(_: Request) -> Response:
        return Response(status_code=200 if engine.live() else 400)

    async def ready(_: Request) -> Response:
        return Response(status_code=200 if engine.ready() else 400)

    return Starlette(routes=[Route("/v2/health/live", live), Route("/v2/health/ready", ready)])
