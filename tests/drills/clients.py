"""Clients of a model that answers with its version, in a process of their own: who answered what, and when.

    python -m tests.drills.clients ADDRESS MODEL RATE CALLERS

They send RATE requests a second between them, say `begun` when the first was answered, and when a line comes on their
standard input they write what they saw as JSON, one `[began, ended, named, answered, failure]` for each request: times
by CLOCK_MONOTONIC, the version that the answer names, the one that its content tells, and why it failed, if it did.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.e2e.models import ask
from tests.e2e.server import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    """What became of one request. failure: empty for one that was answered."""

    began: float
    ended: float
    named: int
    answered: int
    failure: str


class Clients:
    """In its block they ask; `stop` ends that and tells what they saw."""

    def __init__(self, address: str, model: str, rate: float, callers: int = 16) -> None:
        self._command = [sys.executable, "-m", "tests.drills.clients", address, model, str(rate), str(callers)]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "begun\n":
            raise AssertionError(f"the clients did not begin: {self._process.communicate()[1]}")
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def stop(self) -> list[Answer]:
        told, complaint = self._process.communicate("stop\n", 4 * PATIENCE)
        assert self._process.returncode == 0, complaint
        return [Answer(*one) for one in json.loads(told)]


def failures(answers: Sequence[Answer]) -> list[str]:
    return [answer.failure for answer in answers if answer.failure]


def wrong(answers: Sequence[Answer]) -> list[Answer]:
    """Answers of which the content is another version's than they say."""
    return [answer for answer in answers if not answer.failure and answer.named != answer.answered]


def backwards(answers: Sequence[Answer]) -> list[Answer]:
    """Answers by a version lower than one that had answered, anybody, before they were asked for."""
    good = [answer for answer in answers if not answer.failure]
    by_end = sorted(good, key=lambda answer: answer.ended)
    ends = [answer.ended for answer in by_end]
    highest = [0, *accumulate((answer.answered for answer in by_end), max)]
    return [answer for answer in good if answer.answered < highest[bisect_left(ends, answer.began)]]


def percentile(answers: Sequence[Answer], percent: float) -> float:
    """Seconds."""
    return float(np.percentile([answer.ended - answer.began for answer in answers], percent))


class _Callers:
    def __init__(self, stub: Any, model: str, interval: float) -> None:
        self.answers: list[Answer] = []
        self._stub = stub
        self._request = ask(model, 0.0)
        self._interval = interval
        self.stopping = False

    async def call(self, first: float) -> None:
        due = first
        while not self.stopping:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + self._interval, time.monotonic())
            self.answers.append(await self._ask())
            if len(self.answers) == 1:
                sys.stdout.write("begun\n")
                sys.stdout.flush()

    async def _ask(self) -> Answer:
        began = time.monotonic()
        try:
            reply: service_pb2.ModelInferResponse = await self._stub.ModelInfer(self._request, timeout=PATIENCE)
        except grpc.RpcError as error:
            return Answer(began, time.monotonic(), 0, 0, f"{error.code().name}: {error.details()}")
        ended = time.monotonic()
        (content,) = reply.raw_output_contents
        return Answer(began, ended, int(reply.model_version), int(np.frombuffer(content, np.float32)[0]), "")


async def main(address: str, model: str, rate: float, count: int) -> list[Answer]:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        callers = _Callers(stub, model, count / rate)
        start = time.monotonic()
        tasks = [asyncio.create_task(callers.call(start + i / rate)) for i in range(count)]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        callers.stopping = True
        await asyncio.gather(*tasks)
        return callers.answers


if __name__ == "__main__":
    json.dump(asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))), sys.stdout)
