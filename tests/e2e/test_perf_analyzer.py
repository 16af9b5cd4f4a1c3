"""NVIDIA's perf_analyzer, unmodified, against the sample repository over every gRPC transport of the server.

It is told a number of requests rather than a time window, so that a slow machine changes nothing. Then it now and then
waits for ever for some that were answered (tests/soak/hangs.py has why), so a run has a time limit and one more try,
which the test reports.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.server import Server
from tests.requirements import require

PROGRAM = shutil.which("perf_analyzer", path=str(Path(sys.executable).parent))
RUN_SECONDS = 30
REQUESTS = 200
TEXTS = ("Where is the station?", "Wo ist der Bahnhof?", "Où est la gare ?", "Где находится вокзал?")

require("perf_analyzer", PROGRAM is not None, "perf_analyzer is not in .venv: `make dev` says why")
pytestmark = pytest.mark.timeout(3 * RUN_SECONDS)


class Report(NamedTuple):
    """What perf_analyzer counted: its own requests, and what the server says it did meanwhile.

    It asks the server for the first time when its requests are on their way already, so a quick server has answered
    some of them by then: what it tells of the server may be a few less.
    """

    requests: int
    inferences: int
    executions: int
    successes: int


class Load(NamedTuple):
    """Arguments that choose a model and its data; `rows` is what one request holds."""

    name: str
    arguments: tuple[str, ...]
    rows: int = 1


LOADS = (
    Load("digits version 1", ("-m", "digits", "-x", "1", "--input-data=random")),
    Load("digits version 2 in batches", ("-m", "digits", "-x", "2", "--input-data=random", "-b", "4"), 4),
    Load("language", ("-m", "language", "--input-data=TEXTS")),
    Load("echo", ("-m", "echo", "--shape=INPUT0:100", "--input-data=zero")),
)


@pytest.fixture(scope="module")
def samples(samples_over_each_transport: Server) -> Server:
    return samples_over_each_transport


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file as perf_analyzer reads it: one text for each step."""
    path = tmp_path_factory.mktemp("data") / "texts.json"
    path.write_text(json.dumps({"data": [{"text": {"content": [text], "shape": [1]}} for text in TEXTS]}))
    return path


class Run(NamedTuple):
    """What perf_analyzer printed, and the model's statistics around it."""

    printed: str
    before: Any
    after: Any


def analyze(samples: Server, model: str, version: str, *arguments: str) -> Run:
    """Run perf_analyzer. What a run that hung has left in the statistics does not count."""
    command = [str(PROGRAM), "-i", "grpc", "-u", samples.grpc, f"--request-count={REQUESTS}", *arguments]
    before = samples.statistics(model, version)
    try:
        printed = run(command)
    except subprocess.TimeoutExpired as hang:
        sys.stderr.write(f"{' '.join(command)} hung for {RUN_SECONDS} s and is run again; it printed {hang.output!r}\n")
        before = samples.statistics(model, version)
        printed = run(command)
    return Run(printed, before, samples.statistics(model, version))


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def report(printed: str) -> Report:
    labels = (r"    Request count", "Inference count", "Execution count", "Successful request count")
    found = [re.search(rf"{label}: (\d+)$", printed, re.MULTILINE) for label in labels]
    assert all(found), printed
    return Report(*(int(match.group(1)) for match in found if match))


@pytest.mark.parametrize(("mode", "concurrency"), [("--sync", 1), ("--async", 8)])
@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_every_request_is_answered_and_counted_alike_on_both_sides(
    samples: Server, texts: Path, load: Load, mode: str, concurrency: int
) -> None:
    arguments = [argument.replace("TEXTS", str(texts)) for argument in load.arguments]
    model, version = arguments[1], arguments[3] if arguments[2] == "-x" else ""
    printed, before, after = analyze(samples, model, version, *arguments, mode, f"--concurrency-range={concurrency}")
    counted = report(printed)
    assert counted.requests == after.inference_stats.success.count - before.inference_stats.success.count == REQUESTS
    assert after.inference_count - before.inference_count == REQUESTS * load.rows
    assert after.inference_stats.fail.count == before.inference_stats.fail.count
    assert 0 < counted.executions <= counted.successes <= REQUESTS
    assert counted.inferences == counted.successes * load.rows
    assert "failed" not in printed.lower()
