"""The end of a process whose transport was never stopped: it neither hangs nor crashes, whatever is under way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest

from tests.abuse.frames import call, opening
from tests.abuse.peer import Peer
from tests.frontends.grpc.wires import PATIENCE
from tests.soak.exiting import ASKS_FOR_MUCH, CODES, STREAM, UNARY
from tests.soak.observed import ROOT

pytest.importorskip("naiad._native", reason="naiad._native is not built")

ENOUGH = 50
"""Answers, after which calls are sure to be under way all the time."""


@contextmanager
def process(way: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """The process and its address; at the end of the block it is told to end, and must do so without a word."""
    ending = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", "tests.soak.exiting", way],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert ending.stdout is not None
        yield ending, ("127.0.0.1", int(ending.stdout.readline()))
        said, complaints = ending.communicate("end\n", PATIENCE)
        assert (ending.returncode, said, complaints) == (CODES[way], "", "")
    finally:
        ending.kill()
        ending.communicate()


@contextmanager
def busy(address: tuple[str, int], callers: int = 4) -> Iterator[None]:
    """Call again and again, until the server is gone."""
    answered = threading.Semaphore(0)

    def ask() -> None:
        with grpc.insecure_channel("{}:{}".format(*address)) as channel, suppress(grpc.RpcError):
            call: Any = channel.unary_unary(UNARY)
            while True:
                call(b"question", timeout=PATIENCE)
                answered.release()

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for _ in range(ENOUGH):
        assert answered.acquire(timeout=PATIENCE)
    yield
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("development", ["0", "1"], ids=["", "PYTHONDEVMODE"])
@pytest.mark.parametrize("way", CODES)
def test_a_process_ends_with_calls_unanswered_and_answers_unread(way: str, development: str) -> None:
    with process(way, PYTHONDEVMODE=development) as (_, address), Peer(address) as peer:
        peer.send(call(1, b"never answered") + call(3, ASKS_FOR_MUCH) + opening(5, STREAM))
        peer.wait_for(lambda: peer.received.nbytes > 0)


@pytest.mark.parametrize("way", CODES)
def test_a_process_ends_while_requests_pour_in(way: str) -> None:
    for _ in range(3):
        with process(way) as (ending, address), Peer(address) as peer:
            peer.send(call(1, b"never answered"))
            peer.ping()
            with busy(address):
                assert ending.stdin is not None
                ending.stdin.write("end\n")
                ending.stdin.flush()
                assert ending.wait(PATIENCE) == CODES[way]
