"""A steady load on one small model, from a process of its own, and what each request took.

    python -m tests.drills.steady ADDRESS MODEL RATE CALLERS

It sends RATE requests a second, says `begun` when the first was answered, and when a line comes on its standard input
it writes what it measured as JSON: pairs of when a request began, by CLOCK_MONOTONIC, and its seconds. A request that
finds all callers busy began when it was due. One that fails ends the process.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from benchmarks.caller import READ_BYTES, Caller
from benchmarks.client import zeros
from tests.e2e.server import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


class Sample(NamedTuple):
    """One request: when it began, in `time.monotonic` seconds, and how long it took."""

    began: float
    seconds: float


class Steady:
    """In its block the load is on; `stop` ends it and tells what was measured."""

    def __init__(self, address: str, model: str, rate: float, callers: int = 16) -> None:
        self._command = [sys.executable, "-m", "tests.drills.steady", address, model, str(rate), str(callers)]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "begun\n":
            raise AssertionError(f"the load did not begin: {self._process.communicate()[1]}")
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def stop(self) -> list[Sample]:
        told, complaint = self._process.communicate("stop\n", PATIENCE)
        assert self._process.returncode == 0, complaint
        return [Sample(*one) for one in json.loads(told)]


def percentile(samples: Sequence[Sample], percent: float) -> float:
    """Seconds."""
    return float(np.percentile([sample.seconds for sample in samples], percent))


class _Pace:
    """Sends what is due through callers that are idle."""

    def __init__(self, callers: Sequence[Caller], message: bytes, rate: float) -> None:
        self.samples: list[Sample] = []
        self._idle = deque(callers)
        self._began: dict[Caller, float] = {}
        self._message = message
        self._interval = 1 / rate
        self._due = time.monotonic()
        self._late = False
        self._into = memoryview(bytearray(READ_BYTES))

    def send(self, selector: selectors.BaseSelector) -> float:
        """Send what is due; gives seconds to the next one."""
        while self._due <= (now := time.monotonic()):
            if not self._idle:
                self._late = True
                return PATIENCE
            caller = self._idle.popleft()
            self._began[caller] = self._due if self._late else now
            self._late = False
            caller.request(self._message)
            selector.modify(caller.socket, caller.write(), caller)
            self._due += self._interval
        return self._due - now

    def proceed(self, selector: selectors.BaseSelector, caller: Caller, events: int) -> None:
        if events & selectors.EVENT_READ and caller.read(self._into) is not None:
            began = self._began.pop(caller)
            self.samples.append(Sample(began, time.monotonic() - began))
            self._idle.append(caller)
        selector.modify(caller.socket, caller.write(), caller)


def main(address: str, model: str, rate: float, count: int) -> list[Sample]:
    with ExitStack() as stack:
        callers = [Caller(address) for _ in range(count)]
        for caller in callers:
            stack.callback(caller.socket.close)
        pace = _Pace(callers, zeros(model), rate)
        selector = stack.enter_context(selectors.DefaultSelector())
        for caller in callers:
            selector.register(caller.socket, caller.write(), caller)
        selector.register(sys.stdin, selectors.EVENT_READ)
        begun = False
        while True:
            for key, events in selector.select(pace.send(selector)):
                if key.data is None:
                    return pace.samples
                pace.proceed(selector, key.data, events)
            if pace.samples and not begun:
                begun = True
                sys.stdout.write("begun\n")
                sys.stdout.flush()


if __name__ == "__main__":
    json.dump(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])), sys.stdout)
