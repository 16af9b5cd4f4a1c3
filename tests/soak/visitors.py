"""Clients of every kind, well-behaved and not. A visit opens a connection of its own and leaves in one way or another.

Each visit demands the answers that it must get, whatever others do beside it; `random` says how it goes about it. All
visits together use only two models: ECHO answers at once, and SLOW after some milliseconds.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hyperframe.frame import DataFrame, RstStreamFrame

from tests.abuse.frames import HELLO, delimited, opening
from tests.conformance.messages import Given, request
from tests.e2e.models import BATCHING, identity
from tests.e2e.server import PATIENCE, SERVING

CANCEL = 8
ECHO, SLOW, SLOW_MS = "echo", "slow", 20
INFER = "/inference.GRPCInferenceService/ModelInfer"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
WIDTHS = (1, 16, 300)
LARGE = (2**18, 3 * 2**17, 5 * 2**18)
"""Floats of large tensors: 1 to 5 MB. All widths are few, so that what a server remembers of each is soon complete."""
TOGETHER = 32
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
"""One connection for each channel, and no limits."""


def models(directory: Path) -> Path:
    """Write the two models; gives the repository."""
    identity(directory, ECHO, max_batch_size=8, dims=-1)
    return identity(directory, SLOW, delay_ms=SLOW_MS, max_batch_size=8, dims=-1, more=BATCHING)


Visit = Callable[[str, Random], None]
"""Of the server at HOST:PORT."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        yield channel


def message(random: Random, width: int, model: str = ECHO) -> Any:
    """A request of so many floats, with an id that is its own."""
    tensor = np.full(width, random.random(), np.float32)
    return request(model, Given("INPUT0", "FP32", [1, width], tensor.tobytes()), request_id=f"{random.random():.17f}")


def demand(asked: Any, answer: Any) -> None:
    """The answer to exactly this request."""
    got = (answer.id, answer.model_name, answer.raw_output_contents[0])
    assert got == (asked.id, asked.model_name, asked.raw_input_contents[0]), f"got {got[:2]} for {asked.id}"


def demand_code(call: Any, *expected: grpc.StatusCode) -> None:
    assert call.code() in expected, f"got {call.code()} ({call.details()}), expected one of {expected}"


def infer(channel: Any, asked: Any, **options: Any) -> Any:
    """Start a ModelInfer."""
    call = channel.unary_unary(INFER, type(asked).SerializeToString, _answer)
    return call.future(asked, **{"timeout": PATIENCE} | options)


def _answer(data: bytes) -> Any:
    from tritonclient.grpc import service_pb2

    return service_pb2.ModelInferResponse.FromString(data)


def asks(address: str, random: Random) -> None:
    """Ask one thing after the other."""
    with connected(address) as channel:
        for _ in range(random.randint(1, 20)):
            asked = message(random, random.choice(WIDTHS))
            demand(asked, infer(channel, asked).result())


def asks_together(address: str, random: Random) -> None:
    """Ask many things at once, of both models."""
    with connected(address) as channel:
        asked = [
            message(random, random.choice(WIDTHS), random.choice([ECHO, ECHO, ECHO, SLOW])) for _ in range(TOGETHER)
        ]
        for one, call in zip(asked, [infer(channel, one) for one in asked], strict=True):
            demand(one, call.result())


def asks_by_aio(address: str, random: Random) -> None:
    """The same with grpc.aio, some of it taken back."""
    asyncio.run(_ask_by_aio(address, random))


async def _ask_by_aio(address: str, random: Random) -> None:
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        ask: Any = channel.unary_unary(INFER, lambda asked: asked.SerializeToString(), _answer)
        asked = [message(random, random.choice(WIDTHS)) for _ in range(TOGETHER)]
        calls = [ask(one, timeout=PATIENCE) for one in asked]
        kept = [(one, call) for one, call in zip(asked, calls, strict=True) if random.random() < 0.8 or call.cancel()]
        for one, call in kept:
            if not call.cancelled():
                demand(one, await call)


def watches(address: str, random: Random) -> None:
    """Watch the health, and take that back or just leave."""
    with connected(address) as channel:
        stream = channel.unary_stream(
            WATCH, health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString
        )(health_pb2.HealthCheckRequest(service=random.choice(["", ECHO])), timeout=PATIENCE)
        assert next(stream).status == SERVING
        if random.random() < 0.5:
            stream.cancel()


def reflects(address: str, random: Random) -> None:
    """Ask what there is, in a stream of several questions."""
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Thing"),
    ] * random.randint(1, 4)
    with connected(address) as channel:
        answers = list(
            channel.stream_stream(
                REFLECT,
                reflection_pb2.ServerReflectionRequest.SerializeToString,
                reflection_pb2.ServerReflectionResponse.FromString,
            )(iter(questions), timeout=PATIENCE)
        )
    kinds = [answer.WhichOneof("message_response") for answer in answers]
    expected = ["list_services_response", "file_descriptor_response", "error_response"]
    assert kinds == expected * (len(questions) // len(expected)), kinds


def cancels(address: str, random: Random) -> None:
    """Take calls back: before they are sent, while they wait, while they run, or too late."""
    with connected(address) as channel:
        for _ in range(4):
            asked = message(random, WIDTHS[-1], SLOW)
            call = infer(channel, asked)
            time.sleep(random.uniform(0, 1.5 * SLOW_MS) / 1000)  # this is what is tested: cancelling at any moment
            call.cancel()
            demand_code(call, grpc.StatusCode.CANCELLED, grpc.StatusCode.OK)


def is_late(address: str, random: Random) -> None:
    """Give less time than the model takes."""
    with connected(address) as channel:
        calls = [
            infer(channel, message(random, WIDTHS[1], SLOW), timeout=random.uniform(0.001, 0.7 * SLOW_MS / 1000))
            for _ in range(4)
        ]
        for call in calls:  # an answer may come late and still before the client looks at its clock
            demand_code(call, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.OK)


def errs(address: str, random: Random) -> None:
    """Ask for what there is not, and what cannot be read."""
    with connected(address) as channel:
        unknown = infer(channel, message(random, WIDTHS[1], "unknown"))
        unnamed = infer(channel, request(ECHO, Given("WRONG", "FP32", [1, 1], bytes(4))))
        garbage = channel.unary_unary(INFER).future(b"\xff\xff\xff", timeout=PATIENCE)
        nowhere = channel.unary_unary("/no.such/Method").future(b"", timeout=PATIENCE)
        demand_code(unknown, grpc.StatusCode.NOT_FOUND)
        demand_code(unnamed, grpc.StatusCode.INVALID_ARGUMENT)
        demand_code(garbage, grpc.StatusCode.INVALID_ARGUMENT)
        demand_code(nowhere, grpc.StatusCode.UNIMPLEMENTED)


def sends_much(address: str, random: Random) -> None:
    """Large messages both ways."""
    with connected(address) as channel:
        for _ in range(2):
            asked = message(random, random.choice(LARGE))
            demand(asked, infer(channel, asked).result())


def takes_much_back(address: str, random: Random) -> None:
    """Large messages, taken back on their way there, or on their way back."""
    with connected(address) as channel:
        call = infer(channel, message(random, random.choice(LARGE)))
        time.sleep(random.uniform(0, 0.01))  # as in `cancels`
        call.cancel()
        demand_code(call, grpc.StatusCode.CANCELLED, grpc.StatusCode.OK)


def leaves(address: str, random: Random) -> None:
    """Say a part of what a client says, and go without a word, or with a reset of the stream or of the connection."""
    width = random.choice([WIDTHS[-1], LARGE[0]])
    asked = delimited(message(random, width, random.choice([ECHO, SLOW])).SerializeToString())
    pieces = [asked[start : start + 2**14] for start in range(0, len(asked), 2**14)][:4]  # what the windows let in
    data = b"".join(DataFrame(1, piece).serialize() for piece in pieces)
    said = HELLO + opening(1, random.choice([INFER, WATCH, REFLECT])) + data
    how = random.choice(["silently", "reset the stream", "reset the connection", "read first"])
    with socket.create_connection(_place(address), timeout=PATIENCE) as connection:
        connection.sendall(said if how == "reset the stream" else said[: random.randint(0, len(said))])
        match how:
            case "reset the stream":
                connection.sendall(RstStreamFrame(1, CANCEL).serialize())
            case "reset the connection":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "read first":
                assert connection.recv(1)


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _named(*visits: Visit) -> dict[str, Visit]:
    return {visit.__name__: visit for visit in visits}


PATIENT = _named(asks, asks_together, reflects, errs, sends_much)
"""Visits that wait for all their answers."""
VISITS = PATIENT | _named(asks_by_aio, watches, cancels, is_late, takes_much_back, leaves)
