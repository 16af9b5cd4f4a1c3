"""HTTP on a thread and an event loop of its own: one server for one application.

uvicorn takes signals only on the main thread, where it never runs here.
"""

from __future__ import annotations

import asyncio
import socket
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from naiad.frontends.http.limits import DEFAULT, Limits, limited


class HttpServer:
    """`start` and `stop`, both once. name: of its thread. reuse_port: others may listen there too."""

    def __init__(
        self,
        application: ASGIApp,
        name: str,
        host: str,
        port: int,
        *,
        reuse_port: bool = False,
        limits: Limits = DEFAULT,
    ) -> None:
        self._name = name
        self._host = host
        self._port = port
        self._reuse_port = reuse_port
        config = uvicorn.Config(
            application,
            http=limited(limits),
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=limits.idle_secs,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread: Thread | None = None

    def start(self) -> int:
        """Listen; gives the port. OSError says why the address cannot be had."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        address = (self._host, self._port)
        listening = socket.create_server(address, family=family, backlog=2048, reuse_port=self._reuse_port)
        self._thread = Thread(target=self._run, args=(listening,), name=self._name, daemon=True)
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
