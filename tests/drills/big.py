"""A large ONNX model, drops of new versions of it, and how they disturb a tiny model.

The weights are noise, so nothing shrinks on its way; versions differ by one small constant. A drop is a whole
directory that is renamed into place.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from tritonclient.grpc import service_pb2

from tests.drills.steady import Sample, Steady
from tests.e2e.server import PATIENCE, Server
from tests.models import build

MB = 2**20
NAME, TINY = "big", "echo0"
SIDE = 2048
"""Rows and columns of each layer's weights, which are 16 MiB."""
MARK = np.full(SIDE, 0.123456789, np.float32).tobytes()
WEIGHTS = "weights.bin"
LOOK_SECS = 0.01
AFTER_SECS = 0.5
"""How long after a version was seen ready its predecessor may still be on its way out."""


class Window(NamedTuple):
    """From the moment a version was dropped to the one it was seen ready, in `time.monotonic` seconds."""

    dropped: float
    ready: float


class Big:
    """Writes versions of the model, of about `mbytes`: the graph in one file, or with its weights beside it."""

    def __init__(self, directory: Path, mbytes: int, *, external: bool = False) -> None:
        layers = max(1, mbytes * MB // (4 * SIDE * SIDE))
        model = onnx.load(build.mlp(directory / "template.onnx", [16, *[SIDE] * (layers + 1), 4]))
        (last,) = [constant for constant in model.graph.initializer if constant.name == "bias0"]
        last.raw_data = MARK
        self._files: dict[str, bytearray] = {}
        if external:
            onnx.save_model(model, directory / "apart.onnx", save_as_external_data=True, location=WEIGHTS)
            self._files[WEIGHTS] = bytearray((directory / WEIGHTS).read_bytes())
            self._files["model.onnx"] = bytearray((directory / "apart.onnx").read_bytes())
        else:
            self._files["model.onnx"] = bytearray(model.SerializeToString())
        (self._marked,) = [name for name, content in self._files.items() if MARK in content]
        self._at = self._files[self._marked].index(MARK)
        self.nbytes = sum(map(len, self._files.values()))

    def write(self, version: Path, number: int) -> None:
        """Write a version's directory; its content depends on the number."""
        version.mkdir(parents=True)
        self._files[self._marked][self._at : self._at + len(MARK)] = np.full(SIDE, number, np.float32).tobytes()
        for name, content in self._files.items():
            (version / name).write_bytes(content)


class Drops:
    """Drops versions of the model into a repository that a server serves."""

    def __init__(self, server: Server, repository: Path, big: Big, last: int = 1) -> None:
        self._server = server
        self._model = repository / NAME
        self._staging = repository.parent / f"{repository.name}-staging"
        self._big = big
        self._last = last

    def drop(self) -> Window:
        """Drop the next version, wait until it is served, and remove the one before."""
        before, self._last = self._last, self._last + 1
        staged = self._staging / str(self._last)
        self._big.write(staged, self._last)
        dropped = time.monotonic()
        staged.rename(self._model / staged.name)
        self._wait_until_served()
        ready = time.monotonic()
        shutil.rmtree(self._model / str(before))
        return Window(dropped, ready)

    def wait_until_alone(self) -> None:
        """Wait until no other version of the model is on its way out."""
        request = service_pb2.RepositoryIndexRequest()

        def leaves() -> bool:
            index = self._server.stub.RepositoryIndex(request, timeout=PATIENCE).models
            return any(model.name == NAME and model.state == "UNLOADING" for model in index)

        self._wait(lambda: not leaves(), "the version before is not unloaded")

    def _wait_until_served(self) -> None:
        request = service_pb2.ModelReadyRequest(name=NAME, version=str(self._last))
        ready = partial(self._server.stub.ModelReady, request, timeout=PATIENCE)
        self._wait(lambda: bool(ready().ready), f"version {self._last} is not served")

    def _wait(self, condition: Callable[[], bool], complaint: str) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, f"{complaint}\n{self._server.tail()}"
            time.sleep(LOOK_SECS)


def during(samples: Iterable[Sample], windows: Sequence[Window]) -> list[Sample]:
    """The requests that were on their way while a version came, or the one before it went."""
    return [
        sample
        for sample in samples
        if any(
            sample.began + sample.seconds >= window.dropped and sample.began <= window.ready + AFTER_SECS
            for window in windows
        )
    ]


def beside(server: Server, drops: Drops, count: int, rate: float) -> list[Sample]:
    """What the tiny model's requests took while so many versions came."""
    with Steady(server.grpc, TINY, rate) as load:
        windows = [drops.drop() for _ in range(count)]
        time.sleep(AFTER_SECS)
        return during(load.stop(), windows)
