"""What attacks leave in a server process when they are over: no descriptor, and no memory that adds up.

Memory is grpc.aio's own affair: it keeps as much as the longest backlog of calls has needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.abuse.floods import FLOODS, Floods
from tests.abuse.frames import HELLO, STREAMS, call, delimited, opening
from tests.abuse.peer import Peer
from tests.abuse.service import Address, Method, Neighbour
from tests.abuse.test_readers import NO_WINDOW
from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server

INFER, LIVE = "/inference.GRPCInferenceService/ModelInfer", "/inference.GRPCInferenceService/ServerLive"
MODEL = "echo"
SMALL, LARGE = 1, 10_000
"""Numbers in a request; the large one has 40 kB, and so has its answer."""
SECONDS = 0.1
"""How long a flood lasts in a round that the server does not end."""
CONNECTIONS, BUSY_CONNECTIONS = 200, 5
CALLS = 100
WARM_UP, ROUNDS = 2, 6
MAY_DIFFER = 48 * 2**20
"""Bytes. The unread answers of the rounds are 120 MB; how much is in use at a time differs by 20 MB."""


def message(width: int) -> bytes:
    encoded: bytes = ask(MODEL, 0.5, width=width).SerializeToString()
    return encoded


def floods(address: Address) -> None:
    for name in FLOODS:
        with Peer(address) as peer:
            peer.flood(Floods(INFER, message(SMALL)).chunks(name), until=time.monotonic() + SECONDS)


def left_behind(address: Address) -> None:
    """Connections that end in the middle of whatever they say."""
    whole = HELLO + call(1, message(SMALL), INFER)
    with ExitStack() as stack:
        for number in range(CONNECTIONS):
            said = whole[: number * len(whole) // CONNECTIONS]
            stack.enter_context(Peer(address, said, answers=False))


def unread_answers(address: Address) -> None:
    """Answers of 20 MB that wait for a window, to requests that the server had allowed."""
    question = message(LARGE)
    with ExitStack() as stack:
        for _ in range(BUSY_CONNECTIONS):
            ask_without_a_window(stack.enter_context(Peer(address, NO_WINDOW)), question)


def ask_without_a_window(peer: Peer, question: bytes) -> None:
    allowed = peer.received
    needed = 0
    for stream in STREAMS[:CALLS]:
        needed += len(delimited(question))
        peer.wait_for(partial(allowed.may_have, needed))
        peer.send(call(stream, question, INFER))
    peer.wait_for(lambda: allowed.frames["HeadersFrame"] == CALLS)


def forgotten_calls(address: Address) -> None:
    with ExitStack() as stack:
        for _ in range(BUSY_CONNECTIONS):
            peer = stack.enter_context(Peer(address))
            peer.flood(opening(stream, INFER) for stream in STREAMS[:1000])
            peer.ping()


def attack(address: Address) -> None:
    for attack_once in (floods, left_behind, unread_answers, forgotten_calls):
        attack_once(address)


class Attacked:
    """A server process, a neighbour on it, and how many descriptors it has with both."""

    def __init__(self, server: Server) -> None:
        host, port = server.grpc.split(":")
        self.address = (host, int(port))
        self._process = psutil.Process(server.pid)
        method: Method = server.channel.unary_unary(LIVE)
        self._answer = method(b"", timeout=PATIENCE)
        self._descriptors = self._process.num_fds()

    @property
    def memory(self) -> int:
        resident: int = self._process.memory_info().rss
        return resident

    def attack(self) -> None:
        """Once, beside a neighbour; wait until the server has closed all that was opened for it.

        The neighbour asks for no inference: the model's queue may well be full.
        """
        with Neighbour(self.address, LIVE, b"", self._answer):
            attack(self.address)
        until = time.monotonic() + PATIENCE
        while (found := self._process.num_fds()) > self._descriptors:
            assert time.monotonic() < until, f"{found} descriptors, expected {self._descriptors} as before the attack"
            time.sleep(0.01)


@pytest.fixture
def attacked(tmp_path: Path, transport: str) -> Iterator[Attacked]:
    with Server(identity(tmp_path, MODEL, dims=-1), flags=[f"--grpc-transport={transport}"]) as server:
        yield Attacked(server)


def test_attacks_leave_no_descriptor(attacked: Attacked) -> None:
    attacked.attack()


@pytest.mark.parametrize("transport", ["native"])
def test_attacks_leave_no_memory_that_adds_up(attacked: Attacked) -> None:
    for _ in range(WARM_UP):
        attacked.attack()
    before = attacked.memory
    for _ in range(ROUNDS):
        attacked.attack()
    assert attacked.memory - before < MAY_DIFFER
