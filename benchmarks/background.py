"""Calls that keep one model busy while something else is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

import grpc

from benchmarks import servers
from benchmarks.servers import Server
from naiad.protocol import grpc_service_pb2 as pb


class Background:
    """In its block, `callers` callers ask the model for one row of zeros, each again as soon as it has an answer.

    shape: of the row, FP32. The end of the block raises what made a call fail.
    """

    def __init__(self, server: Server, model: str, shape: Sequence[int], callers: int) -> None:
        self._channel = grpc.insecure_channel(server.address)
        self._call: grpc.UnaryUnaryMultiCallable[pb.ModelInferRequest, bytes] = self._channel.unary_unary(
            f"{servers.SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString
        )
        self._request = _zeros(model, shape)
        self._callers = callers
        self._stopped = Event()
        self._pool = ThreadPoolExecutor(callers)
        self._running: list[Future[int]] = []
        self._began = 0.0

    def __enter__(self) -> Self:
        self._ask()
        self._began = time.perf_counter()
        self._running = [self._pool.submit(self._repeat) for _ in range(self._callers)]
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        with self._pool, self._channel:
            self.stop()

    def stop(self) -> float:
        """Ask no more; gives how many answers have come in a second."""
        self._stopped.set()
        answers = sum(one.result() for one in self._running)
        return answers / (time.perf_counter() - self._began)

    def _repeat(self) -> int:
        answers = 0
        while not self._stopped.is_set():
            self._ask()
            answers += 1
        return answers

    def _ask(self) -> None:
        self._call(self._request, timeout=servers.ANSWER_SECS)


def _zeros(model: str, shape: Sequence[int]) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=[1, *shape])
    request.raw_input_contents.append(bytes(4 * math.prod(shape)))
    return request
