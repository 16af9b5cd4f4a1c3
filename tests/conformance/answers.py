"""Scenarios: what answers hold, and what the unmodified client makes of them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from ml_dtypes import bfloat16

from tests.conformance.lookups import DIFFERENCE, SUM
from tests.conformance.messages import add_sub
from tests.conformance.observation import Observation, observe, ok, refused
from tests.conformance.scenario import Scenario, asks
from tests.conformance.target import Target

FIRST, SECOND = np.arange(16, dtype=np.int32).reshape(1, 16), np.ones((1, 16), dtype=np.int32)


def client_inputs() -> list[Any]:
    inputs = [triton.InferInput("INPUT0", [1, 16], "INT32"), triton.InferInput("INPUT1", [1, 16], "INT32")]
    inputs[0].set_data_from_numpy(FIRST)
    inputs[1].set_data_from_numpy(SECOND)
    return inputs


def result_lines(result: Any) -> Iterator[str]:
    for name in ("OUTPUT0", "OUTPUT1"):
        array = result.as_numpy(name)
        yield f"{name} {array.dtype} {list(array.shape)} {array.ravel().tolist()}"


def client_infer(target: Target) -> Observation:
    return observe(lambda: result_lines(target.client.infer("simple", client_inputs())))


def client_compressed(target: Target) -> Observation:
    def call() -> Iterator[str]:
        return result_lines(target.client.infer("simple", client_inputs(), compression_algorithm="gzip"))

    return observe(call)


def client_aio(target: Target) -> Observation:
    async def call() -> list[str]:
        async with triton_aio.InferenceServerClient(target.address) as client:
            results = await asyncio.gather(*(client.infer("simple", client_inputs()) for _ in range(4)))
        return sorted({line for result in results for line in result_lines(result)})

    return observe(lambda: asyncio.run(call()))


def client_strings(target: Target) -> Observation:
    given = triton.InferInput("INPUT0", [2, 2], "BYTES")
    given.set_data_from_numpy(np.array([["ä", b"\xff"], ["", "naiad"]], dtype=object))
    result = target.client.infer("identity_bytes", [given])
    return ok(*map(repr, result.as_numpy("OUTPUT0").ravel().tolist()))


def client_half(target: Target) -> Observation:
    given = triton.InferInput("INPUT0", [1, 3], "BF16")
    given.set_data_from_numpy(np.array([[1.5, -2, 0.1]], dtype=bfloat16))
    result = target.client.infer("identity_bf16", [given])
    return ok(str(result.as_numpy("OUTPUT0").astype(float).tolist()))


def client_error(target: Target) -> Observation:
    return observe(lambda: result_lines(target.client.infer("nowhere", client_inputs())))


NUMPY = (
    "OUTPUT0 int32 [1, 16] [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]",
    "OUTPUT1 int32 [1, 16] [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]",
)
BATCH = " ".join([" ".join(str(value + 1) for value in range(16))] * 8)

ANSWERS: tuple[Scenario, ...] = (
    asks("answer.all", "no output asked for: all of them", add_sub(), ok("simple version 1 id ''", SUM, DIFFERENCE)),
    asks(
        "answer.some",
        "one output asked for: that one",
        add_sub(outputs=["OUTPUT1"]),
        ok("simple version 1 id ''", DIFFERENCE),
    ),
    asks(
        "answer.order",
        "outputs come in the model's order, not in that of the request",
        add_sub(outputs=["OUTPUT1", "OUTPUT0"]),
        ok("simple version 1 id ''", SUM, DIFFERENCE),
    ),
    asks(
        "answer.batch",
        "as many rows as max_batch_size",
        add_sub(8, outputs=["OUTPUT0"]),
        ok("simple version 1 id ''", f"OUTPUT0 INT32 [8,16] {BATCH}"),
    ),
    Scenario("client.infer", "the client's infer", client_infer, ok(*NUMPY)),
    Scenario("client.compressed", "a request that the client compressed", client_compressed, ok(*NUMPY)),
    Scenario("client.aio", "four at once over the asyncio client", client_aio, ok(*NUMPY)),
    Scenario(
        "client.strings",
        "BYTES as the client writes and reads them",
        client_strings,
        ok(repr("ä".encode()), repr(b"\xff"), repr(b""), repr(b"naiad")),
    ),
    Scenario("client.bf16", "BF16 as the client writes and reads it", client_half, ok("[[1.5, -2.0, 0.10009765625]]")),
    Scenario(
        "client.error",
        "an error as the client raises it",
        client_error,
        refused("StatusCode.NOT_FOUND", "Request for unknown model: 'nowhere' is not found"),
    ),
)
