"""Load spread over many models, which perf_analyzer cannot make: a grpc.aio client of ours.

Each of `concurrency` callers always has one request on the way, and takes the next model in turn. The client is
Python, so it and not the server bounds the throughput: what counts is the server's CPU per request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import grpc
import numpy as np

from benchmarks import servers
from benchmarks.load import Load
from benchmarks.servers import Server
from naiad.protocol import grpc_service_pb2 as pb

WIDTH = 16

Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


def run(server: Server, models: Sequence[str], concurrency: int, requests: int) -> Load:
    """Send `requests` requests, spread evenly over the models. The server's CPU is for these alone."""
    return asyncio.run(_run(server, models, concurrency, requests))


async def _run(server: Server, models: Sequence[str], concurrency: int, requests: int) -> Load:
    messages = islice(cycle([_message(model) for model in models]), requests)
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(server.address) as channel:
        call: Call = channel.unary_unary(f"{servers.SERVICE}/ModelInfer")
        await call(_message(models[0]))
        cpu, own, start = servers.cpu_seconds(server.pid), time.process_time(), time.perf_counter()
        await asyncio.gather(*(_caller(call, messages, latencies) for _ in range(concurrency)))
        seconds = time.perf_counter() - start
        spent, client = servers.cpu_seconds(server.pid) - cpu, time.process_time() - own
    p50, p99 = np.percentile(latencies, (50, 99)) * 1e6
    return Load(requests / seconds, float(p50), float(p99), spent / requests * 1e6, client / requests * 1e6, None)


async def _caller(call: Call, messages: Iterator[bytes], latencies: list[float]) -> None:
    for message in messages:
        start = time.perf_counter()
        await call(message)
        latencies.append(time.perf_counter() - start)


def _message(model: str) -> bytes:
    message = pb.ModelInferRequest(model_name=model, raw_input_contents=[bytes(4 * WIDTH)])
    message.inputs.add(name="INPUT0", datatype="FP32", shape=[1, WIDTH])
    return message.SerializeToString()
