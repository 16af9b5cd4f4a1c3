"""HTTP on a thread and an event loop of its own; today only the protocol's health routes.

uvicorn takes signals only on the main thread, where it never runs here.
"""

from __future__ import annotations

import asyncio
import socket
from threading import Thread

import uvicorn
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


class HttpServer:
    """`start` and `stop`, both once."""

    def __init__(self, engine: Engine, host: str, port: int) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            application(engine), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        self._thread: Thread | None = None

    def start(self) -> int:
        """Listen; gives the port. OSError says why the address cannot be had."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.create_server((self._host, self._port), family=family, backlog=2048)
        self._thread = Thread(target=self._run, args=(listening,), name="naiad-http", daemon=True)
        self._thread.start()
        port: int = listening.getsockname()[1]
        return port

    def stop(self) -> None:
        """Answer what has come in, and close."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def _run(self, listening: socket.socket) -> None:
        asyncio.run(self._server.serve(sockets=[listening]))
