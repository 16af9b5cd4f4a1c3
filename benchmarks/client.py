"""Load from a client of ours, for what perf_analyzer cannot send: many models in turn, and large messages.

Each of `concurrency` callers has a connection of its own and always one request on the way; they take the messages in
turn. The client costs little beside the server, and the load of one server is that of another to the byte. It costs a
bare echo about what perf_analyzer, with its connections shared by six callers each, costs it.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import cycle, islice, repeat
from typing import NamedTuple

import numpy as np

from benchmarks import http2, load, servers
from benchmarks.caller import READ_BYTES, Caller
from benchmarks.load import Load, Row
from benchmarks.options import Options
from benchmarks.servers import Server
from naiad.protocol import grpc_service_pb2 as pb

WIDTH = 16


class Target(NamedTuple):
    """A server, and the framed requests to send it in turn. model: whose batches are counted, None for none's."""

    server: Server
    messages: tuple[bytes, ...]
    model: str | None = None


class Traffic(NamedTuple):
    """Bytes that one call takes on the wire, with all of HTTP/2 but the connection's beginning."""

    request: int
    answer: int


class Loop:
    """Gives each caller the next message whenever its call has ended. latencies: the seconds of each call."""

    def __init__(self, callers: Sequence[Caller], messages: Iterator[bytes]) -> None:
        self.latencies: list[float] = []
        self._callers = callers
        self._messages = messages
        self._busy = 0
        self._into = memoryview(bytearray(READ_BYTES))

    def run(self) -> None:
        """Return when all messages have been sent and answered."""
        with selectors.DefaultSelector() as selector:
            for caller in self._callers:
                self._begin(caller)
                selector.register(caller.socket, caller.write(), caller)
            while self._busy:
                ready = selector.select(servers.ANSWER_SECS)
                if not ready:
                    raise RuntimeError(f"no answer within {servers.ANSWER_SECS} s")
                for key, events in ready:
                    wanted = self._proceed(key.data, events)
                    if wanted != key.events:
                        selector.modify(key.fileobj, wanted, key.data)

    def _begin(self, caller: Caller) -> None:
        for message in islice(self._messages, 1):
            caller.request(message)
            self._busy += 1

    def _proceed(self, caller: Caller, events: int) -> int:
        if events & selectors.EVENT_READ:
            latency = caller.read(self._into)
            if latency is not None:
                self.latencies.append(latency)
                self._busy -= 1
                self._begin(caller)
        return caller.write()


def run(server: Server, messages: Sequence[bytes], concurrency: int, requests: int) -> Load:
    """Send `requests` requests, spread evenly over the messages, which are framed. The CPU is for these alone."""
    with ExitStack() as stack:
        callers = [Caller(server.address) for _ in range(concurrency)]
        for caller in callers:
            stack.callback(caller.socket.close)
        loop = Loop(callers, islice(cycle(messages), requests))
        cpu, own, start = servers.cpu_seconds(server.pid), time.process_time(), time.perf_counter()
        loop.run()
        seconds = time.perf_counter() - start
        spent, client = servers.cpu_seconds(server.pid) - cpu, time.process_time() - own
    p50, p99 = np.percentile(loop.latencies, (50, 99)) * 1e6
    return Load(requests / seconds, float(p50), float(p99), spent / requests * 1e6, client / requests * 1e6, None)


def measured(
    targets: Sequence[Target], options: Options, concurrency: int, fewest: int = load.FIRST_REQUESTS
) -> dict[str, Row]:
    """Load each target `rounds` times, in turn, each time with `fewest` requests or more; rows by server name."""
    rates = {target: run(target.server, target.messages, concurrency, fewest).per_second for target in targets}
    loads: dict[Target, list[Load]] = {target: [] for target in targets}
    for _ in range(options.rounds):
        for target in targets:
            requests = max(fewest, int(rates[target] * options.seconds))
            ran = _batches(target)
            done = run(target.server, target.messages, concurrency, requests)
            loads[target].append(done._replace(batch=load.average(ran, _batches(target))))
    return {target.server.name: Row(target.server.name, concurrency, tuple(done)) for target, done in loads.items()}


def _batches(target: Target) -> tuple[int, int] | None:
    return servers.batches(target.server, target.model) if target.model else None


def traffic(server: Server, message: bytes, calls: int) -> Traffic:
    """What a framed request and its answer are on the wire: `calls` calls, on a connection that has had one before."""
    caller = Caller(server.address)
    with closing(caller.socket):
        Loop([caller], iter([message])).run()
        sent, received = caller.sent, caller.received
        Loop([caller], repeat(message, calls)).run()
        return Traffic((caller.sent - sent) // calls, (caller.received - received) // calls)


def zeros(model: str) -> bytes:
    """A framed request of zeros, FP32 [1, 16]."""
    message = pb.ModelInferRequest(model_name=model, raw_input_contents=[bytes(4 * WIDTH)])
    message.inputs.add(name="INPUT0", datatype="FP32", shape=[1, WIDTH])
    return http2.framed(message.SerializeToString())
