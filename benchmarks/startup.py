"""How long it takes until many models are ready, and the memory that they take, against bare sessions in a loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import bare, models, servers
from benchmarks.options import Options
from benchmarks.report import Section, Table, figure

HEAD = ("what", "models", "seconds to ready", "MiB", "ms for each model", "KiB for each model")
NAIAD, BARE = "Naiad", "bare onnxruntime sessions, one after the other"


class Start(NamedTuple):
    """Seconds until all models are ready, and bytes of memory then."""

    seconds: float
    nbytes: int


def measure(options: Options) -> Section:
    rows = [row for start in (_naiad, _bare) for row in _rows(start, options.fleets)]
    note = (
        "ONNX models of one layer, in one server; from the start of the process to ServerReady. Memory is resident, of "
        "the process tree, when all are ready and none has run. What each model adds is counted from no model on."
    )
    return Section("Starting with many models", (note,), [Table(HEAD, rows)])


def _rows(start: Callable[[Path, int], Start], fleets: Sequence[int]) -> Iterator[tuple[str, ...]]:
    what = NAIAD if start is _naiad else BARE
    empty = _timed(start, 0)
    yield (what, "0", figure(empty.seconds), figure(empty.nbytes / 2**20), "-", "-")
    for count in fleets:
        full = _timed(start, count)
        each = ((full.seconds - empty.seconds) / count * 1e3, (full.nbytes - empty.nbytes) / count / 2**10)
        yield (what, str(count), figure(full.seconds), figure(full.nbytes / 2**20), *map(figure, each))


def _timed(start: Callable[[Path, int], Start], count: int) -> Start:
    with tempfile.TemporaryDirectory() as directory:
        return start(Path(directory), count)


def _naiad(repository: Path, count: int) -> Start:
    models.small(repository, count)
    start = time.perf_counter()
    with servers.naiad(NAIAD, repository) as server:
        return Start(time.perf_counter() - start, servers.memory_bytes(server.pid))


def _bare(directory: Path, count: int) -> Start:
    names = models.small(directory, count)
    return Start(*bare.hold([directory / name / "1" / "model.onnx" for name in names]))
