"""Both clients under one interface, so that one suite holds for both, and a scripted server for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from naiad_client import AsyncClient, Client
from tests.clients.python.scripted import Scripted

Open = Callable[..., Client]


class Awaited:
    """AsyncClient with the methods of Client: each runs on an event loop of its own until it is done."""

    def __init__(self, address: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        try:
            self._client = self._runner.run(self._opened(address, options))
        except BaseException:
            self._runner.close()
            raise

    async def _opened(self, address: str, options: Any) -> AsyncClient:
        return AsyncClient(address, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Coroutine[Any, Any, Any]] = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(method(*arguments, **options))

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=[Client, Awaited], ids=["Client", "AsyncClient"])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open clients that are closed when the test ends; one kind of them, and then the other."""
    with ExitStack() as stack:

        def connect(address: str, **options: Any) -> Client:
            client = cast(Client, request.param(address, **options))
            stack.callback(client.close)
            return client

        yield connect


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    with scripted.serve():
        yield scripted
