"""A model that answers with its version, and the ways in which people put a new one into a repository.

Whatever way it comes, a version is there in the end as a directory with a model and two files beside it.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser
from tritonclient.grpc import service_pb2

from tests.e2e.server import PATIENCE, Server

NAME = "sample"
CONFIG = f"""name: "{NAME}"
backend: "onnxruntime"
max_batch_size: 8
input {{ name: "INPUT0" data_type: TYPE_FP32 dims: [1] }}
output {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [1] }}
instance_group {{ kind: KIND_CPU count: 1 }}
dynamic_batching {{ }}
"""
CHUNKS = 50
LOOK_SECS = 0.005


def model(number: int, padding: int = 0) -> bytes:
    """An ONNX model that answers `number` to everything. padding: weights that nothing depends on, in bytes."""
    text = """<ir_version: 8, opset_import: ["" : 17]> sample (float[n, 1] INPUT0) => (float[n, 1] OUTPUT0) {
        zero = Constant <value = float {0.0}> ()
        number = Constant <value = float {%d.0}> ()
        nothing = Mul (INPUT0, zero)
        OUTPUT0 = Add (nothing, number)
    }"""
    proto = parser.parse_model(text % number)
    if padding:
        noise = np.random.default_rng(number).random(padding // 4, np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(noise, "padding"))
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def lay(repository: Path, number: int = 1) -> Path:
    """A repository that has one version."""
    version = repository / NAME / str(number)
    version.mkdir(parents=True)
    (repository / NAME / "config.pbtxt").write_text(CONFIG)
    for name, content in files(number).items():
        (version / name).write_bytes(content)
    return repository


def files(number: int) -> dict[str, bytes]:
    return {"model.onnx": model(number, 20_000), "card.md": b"# A sample\n", "notes.txt": b"nothing\n" * 100}


class Dropper:
    """Puts versions into a repository, each with the next number. staging: a directory of the same file system."""

    def __init__(self, repository: Path, last: int = 1) -> None:
        self._model = repository / NAME
        self._staging = repository.parent / f"{repository.name}-staging"
        self._staging.mkdir(exist_ok=True)
        self.last = last
        self._staged: list[Path] = []
        self._orders = itertools.cycle(itertools.permutations(("model.onnx", "card.md", "notes.txt")))

    def stage(self, count: int) -> None:
        """Write the versions that are to be renamed into place, all before the first."""
        for number in range(self.last + 1, self.last + 1 + count):
            staged = self._staging / str(number)
            staged.mkdir()
            for name, data in files(number).items():
                (staged / name).write_bytes(data)
            self._staged.append(staged)

    def renamed(self) -> int:
        """A finished directory, renamed into place."""
        self.last += 1
        self._staged.pop(0).rename(self._place())
        return self.last

    def copied(self) -> int:
        """File by file, in one order or another."""
        content, place = self._next()
        place.mkdir()
        for name in next(self._orders):
            (place / name).write_bytes(content[name])
            time.sleep(0.02)
        return self.last

    def in_chunks(self, pause: float) -> int:
        """Every file a little at a time. pause: seconds between two chunks."""
        content, place = self._next()
        place.mkdir()
        for name in next(self._orders):
            with (place / name).open("wb", buffering=0) as file:
                for chunk in _chunks(content[name]):
                    file.write(chunk)
                    time.sleep(pause)
        return self.last

    def by_rsync(self) -> int:
        """As rsync does it: under a name of its own, then renamed, with the times of the original."""
        content, place = self._next()
        place.mkdir()
        for name in next(self._orders):
            temporary = place / f".{name}.Xq3v7a"
            with temporary.open("wb", buffering=0) as file:
                for chunk in _chunks(content[name], 5):
                    file.write(chunk)
                    time.sleep(0.005)
            shutil.copystat(self._model / "config.pbtxt", temporary)
            temporary.rename(place / name)
        return self.last

    def with_an_editor(self) -> int:
        """Beside swap files of an editor, with one file deleted in the middle and written again."""
        content, place = self._next()
        place.mkdir()
        (place / ".notes.txt.swp").write_bytes(b"b0VIM 9.0")
        for name in ("notes.txt", "model.onnx", "card.md"):
            (place / name).write_bytes(content[name][: len(content[name]) // 2])
            time.sleep(0.02)
            (place / name).unlink()
            time.sleep(0.02)
            (place / f"{name}~").write_bytes(b"old")
            (place / name).write_bytes(content[name])
        (place / ".notes.txt.swp").unlink()
        return self.last

    def forget(self, keep: int) -> None:
        """Remove all versions but the newest."""
        for number in sorted(int(path.name) for path in self._model.iterdir() if path.name.isdigit())[:-keep]:
            shutil.rmtree(self._model / str(number))

    def _next(self) -> tuple[dict[str, bytes], Path]:
        self.last += 1
        return files(self.last), self._place()

    def _place(self) -> Path:
        return self._model / str(self.last)


def wait_until_served(server: Server, number: int) -> float:
    """Wait until a version is ready; gives when that was seen, in `time.monotonic` seconds."""
    request = service_pb2.ModelReadyRequest(name=NAME, version=str(number))
    wait(lambda: server.stub.ModelReady(request, timeout=PATIENCE).ready, f"version {number} is not served", server)
    return time.monotonic()


def wait(condition: Callable[[], bool], complaint: str, server: Server) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"{complaint}\n{server.tail()}"
        time.sleep(LOOK_SECS)


def _chunks(content: bytes, count: int = CHUNKS) -> Iterator[bytes]:
    size = max(1, -(-len(content) // count))
    for start in range(0, len(content), size):
        yield content[start : start + size]
