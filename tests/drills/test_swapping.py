"""Versions come in every way that people have, under clients that ask all the time: nobody may notice more than that.

The control of the times is the same load, while the same files come to another server's repository.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from tests.drills.clients import Answer, Clients, backwards, failures, percentile, wrong
from tests.drills.figures import Figures, Scale
from tests.drills.versions import NAME, Dropper, lay, wait_until_served
from tests.e2e.server import Server
from tests.soak.counting import resident

RATE = 300
"""Requests a second of all clients: a small part of what the server can do, so that what they wait for is the swap."""
SETTLE = ["--repository-settle-secs=1"]
"""The default, in place of what tests have."""
SETTLED_SECS = 1.1
"""After which what was written in advance has settled."""
KEPT = 20
MB = 2**20
STEEPEST = 0.5
MOST_SECONDS = 120


def renamed(server: Server, dropper: Dropper, count: int) -> float:
    """Drop so many directories that were finished before, one after the other is served; gives how long that took."""
    dropper.stage(count)
    time.sleep(SETTLED_SECS)
    began = time.monotonic()
    for _ in range(count):
        wait_until_served(server, dropper.renamed())
        dropper.forget(KEPT)
    return time.monotonic() - began


def copied(server: Server, dropper: Dropper, count: int) -> None:
    for i in range(count):
        way = (dropper.copied, dropper.by_rsync, dropper.with_an_editor)[i % 3]
        wait_until_served(server, way())


def slowly(server: Server, dropper: Dropper, count: int) -> None:
    """A little of each file at a time, for seconds."""
    for _ in range(count):
        wait_until_served(server, dropper.in_chunks(0.02))


class Memory:
    """Looks at a process's memory, once a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[tuple[float, int]] = []
        self._stop = Event()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(1.0):
            self._samples.append((time.monotonic(), resident(self._pid)))

    def slope(self) -> float:
        """MB a minute of the second half; ends the looking."""
        self._stop.set()
        self._thread.join()
        half = self._samples[len(self._samples) // 2 :]
        at, held = np.array(half, float).T
        return float(np.polyfit((at - at[0]) / 60, held / MB, 1)[0])


def judge(figures: Figures, answers: list[Answer], last: int) -> None:
    failed = failures(answers)
    figures.tell("requests that failed", f"{len(failed)} of {len(answers)} {failed[:3] or ''}", "none", not failed)
    false = wrong(answers)
    figures.tell("answers that are another version's", f"{len(false)} {false[:3] or ''}", "none", not false)
    back = backwards(answers)
    figures.tell("answers by less than had answered", f"{len(back)} {back[:3] or ''}", "none", not back)
    newest = max(answer.answered for answer in answers)
    figures.tell("the newest version that answered", newest, str(last), newest == last)


def test_nothing_is_lost_while_versions_come(tmp_path: Path, scale: Scale, figures: Figures) -> None:
    repository = lay(tmp_path / "models")
    dropper = Dropper(repository)
    with Server(repository, flags=SETTLE) as server, Clients(server.grpc, NAME, RATE) as clients:
        memory = Memory(server.pid)
        count = scale.of(20, 200)
        took = renamed(server, dropper, count)
        figures.tell(f"{count} versions renamed in, s", took, f"at most {MOST_SECONDS}", took <= MOST_SECONDS)
        copied(server, dropper, scale.of(3, 30))
        slowly(server, dropper, scale.of(1, 10))
        time.sleep(0.5)
        judge(figures, clients.stop(), dropper.last)
        slope = memory.slope()
        bounded = scale is Scale.FULL
        figures.tell(
            "memory, MB a minute in the second half",
            slope,
            f"under {STEEPEST}" if bounded else "",
            slope < STEEPEST or not bounded,
        )
        swaps = server.statistics(NAME)
        assert swaps.version == str(dropper.last)


@pytest.mark.parametrize("transport", ["native", "aio"])
def test_clients_wait_hardly_longer_while_versions_come(
    tmp_path: Path, scale: Scale, figures: Figures, transport: str
) -> None:
    if transport == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    flags = [*SETTLE, f"--grpc-transport={transport}"]
    here, elsewhere = lay(tmp_path / "here"), lay(tmp_path / "elsewhere")
    droppers = Dropper(here), Dropper(elsewhere)
    times: list[tuple[float, float]] = []
    with Server(here, flags=flags) as server, Server(elsewhere, flags=flags) as other:
        for _ in range(scale.of(1, 5)):
            pair = []
            for target, dropper in zip((server, other), droppers, strict=True):
                with Clients(server.grpc, NAME, RATE) as clients:
                    renamed(target, dropper, scale.of(10, 40))
                    copied(target, dropper, scale.of(0, 6))
                    slowly(target, dropper, scale.of(0, 2))
                    answers = clients.stop()
                assert not failures(answers)
                pair.append(percentile(answers, 99))
            times.append((pair[0], pair[1]))
    figures.tell("p99, ms: here, elsewhere", ", ".join(f"{a * 1e3:.2f} {b * 1e3:.2f}" for a, b in times))
    ratio = statistics.median(a / b for a, b in times)
    bounded = scale is Scale.FULL
    figures.tell("p99 / elsewhere, median", ratio, "at most 2" if bounded else "", ratio <= 2 or not bounded)
