"""What the access log costs: the same server with it and without, in turn."""

from __future__ import annotations

import tempfile
from typing import IO

from benchmarks import load, servers
from benchmarks.load import Target
from benchmarks.options import Options
from benchmarks.report import Section, figure
from benchmarks.wire import MODEL, SHAPE

CONCURRENCY = 32
PLAIN, LOGGING = "Naiad", "Naiad with --access-log"


def measure(options: Options) -> Section:
    repository = servers.ROOT / "model_repository"
    with tempfile.TemporaryFile() as log:
        with (
            servers.naiad(PLAIN, repository) as plain,
            servers.naiad(LOGGING, repository, "--access-log", output=log) as logging,
        ):
            targets = [Target(server, MODEL, SHAPE) for server in (plain, logging)]
            rows = load.measured(targets, options, (CONCURRENCY,))
            answered, _ = servers.batches(logging, MODEL) or (0, 0)
        written = _lines(log)
    without, with_log = rows[PLAIN, CONCURRENCY], rows[LOGGING, CONCURRENCY]
    least, median = (
        figure(getattr(with_log, of)("cpu_us") / getattr(without, of)("cpu_us")) for of in ("least", "median")
    )
    note = (
        f"Server CPU per request, with the log / without: {least} by minimum, {median} by median. The log, a file, has "
        f"{written} lines of {answered} requests."
    )
    return Section("The access log", (note,), [load.table((without, with_log))])


def _lines(log: IO[bytes]) -> int:
    log.seek(0)
    return sum(1 for _ in log)
