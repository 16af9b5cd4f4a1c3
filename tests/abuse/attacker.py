"""Attackers, and a sink that they may attack instead: processes of their own, which end when their block does."""

from __future__ import annotations

import multiprocessing
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

from hyperframe.frame import DataFrame

from tests.abuse.floods import FLOODS, Floods
from tests.abuse.frames import HELLO, STREAMS, call, delimited, opening
from tests.abuse.peer import CHUNK, Peer
from tests.abuse.service import Address
from tests.abuse.test_readers import NO_WINDOW
from tests.frontends.grpc.wires import PATIENCE

CONNECTIONS = 500
SECONDS = 0.5
"""How long one connection is used."""
CORES = sorted(os.sched_getaffinity(0))
ATTACKERS_CORES, OTHER_CORES = CORES[:1], CORES[1:] or CORES
"""Attackers have machines of their own: where there are two cores, they do not run where the attacked do."""
_SPAWN = multiprocessing.get_context("spawn")


def silent_connections(address: Address, _: Floods) -> None:
    hold(lambda: Peer(address, b"", answers=False), CONNECTIONS)


def half_requests(address: Address, floods: Floods) -> None:
    said = HELLO + opening(1, floods.path) + DataFrame(1, delimited(floods.message)[:-2]).serialize()
    hold(lambda: Peer(address, said), CONNECTIONS)


def unread_answers(address: Address, floods: Floods) -> None:
    calls = b"".join(call(stream, floods.message, floods.path) for stream in STREAMS[:100])
    hold(lambda: Peer(address, NO_WINDOW + calls), CONNECTIONS // 100)


def hold(make_peer: Callable[[], Peer], count: int) -> None:
    """Have so many connections open for a while."""
    with ExitStack() as stack:
        peers = [stack.enter_context(make_peer()) for _ in range(count)]
        until = time.monotonic() + SECONDS
        for peer in peers:
            peer.wait(until)


CONNECTING = {attack.__name__: attack for attack in (silent_connections, half_requests, unread_answers)}
ATTACKS = sorted([*FLOODS, *CONNECTING])


def attack(name: str, address: Address, floods: Floods) -> None:
    """Once, which is over after a while or when the server ends it."""
    if name in CONNECTING:
        CONNECTING[name](address, floods)
        return
    with Peer(address) as peer:
        peer.flood(floods.chunks(name), until=time.monotonic() + SECONDS)


@contextmanager
def attacking(name: str, address: Address, floods: Floods) -> Iterator[None]:
    """Attack all the time; the block begins after the first time."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_attack, args=(name, address, floods, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(PATIENCE), f"the first attack by {name} did not end within {PATIENCE:g} s"
        yield
        assert process.exitcode is None, f"the attacker ended with {process.exitcode}"
    finally:
        process.terminate()
        process.join()


@contextmanager
def sink() -> Iterator[Address]:
    """A process that takes connections, reads all that comes, and says and does nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as listener:
        process = _SPAWN.Process(target=_drain, args=(listener,), daemon=True)
        process.start()
        try:
            yield listener.getsockname()
        finally:
            process.terminate()
            process.join()


def _attack(name: str, address: Address, floods: Floods, ready: Connection) -> None:
    os.sched_setaffinity(0, ATTACKERS_CORES)
    attack(name, address, floods)
    ready.send(None)
    while True:
        attack(name, address, floods)


def _drain(listener: socket.socket) -> None:
    os.sched_setaffinity(0, ATTACKERS_CORES)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    selector.register(connection, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    _read(selector, key.fileobj)


def _read(selector: selectors.BaseSelector, connection: socket.socket) -> None:
    try:
        data = connection.recv(CHUNK)
    except ConnectionError:
        data = b""
    if not data:
        selector.unregister(connection)
        connection.close()
