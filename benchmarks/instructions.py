"""How many instructions a request costs in the core, counted by callgrind: no noise, and no time either.

A loop runs in a process of its own, twice: the difference between a long and a short run is what the requests cost,
without the start of the process.
"""

from __future__ import annotations

import re
import sys

from benchmarks import core, install_valgrind
from benchmarks.options import Options
from benchmarks.report import Section, Table
from tests.tools.debian import NotHereError, run

TITLE = "Instructions of the core"
COLLECTED = re.compile(r"Collected : (\d+)")
LOOPS = {core.SKELETON: 8, core.BATCHED: 2, core.SINGLE: 1}
"""How many times as many requests a loop runs: starts differ by some 30 million instructions, so that the cheaper a
request is the more of them it takes to see what it costs."""
SHORT = 1000
"""Requests of the shorter run: enough that the interpreter has specialised what it runs."""


def measure(options: Options) -> Section:
    try:
        valgrind = install_valgrind.found()
    except NotHereError as missing:
        return Section(TITLE, [f"Left out: {missing}"])
    counts = {name: _per_request(valgrind, name, options.calls * times) for name, times in LOOPS.items()}
    least = counts[core.SKELETON]
    rows = [(name, f"{count:.0f}", f"{count / least:.2f}") for name, count in counts.items()]
    notes = ("Counted by callgrind in the loops of the section before.",)
    return Section(TITLE, notes, [Table(("", "instructions/request", "of the skeleton's"), rows)])


def _per_request(valgrind: str, name: str, requests: int) -> float:
    run(_command(name, SHORT))  # compiles what it imports
    return (_collected(valgrind, name, requests) - _collected(valgrind, name, SHORT)) / (requests - SHORT)


def _collected(valgrind: str, name: str, requests: int) -> int:
    callgrind = ["env", "PYTHONHASHSEED=0", valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    said = run([*callgrind, *_command(name, requests)])
    found = COLLECTED.search(said)
    if found is None:
        raise RuntimeError(f"callgrind printed no count:\n{said}")
    return int(found[1])


def _command(name: str, requests: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.core", name, str(requests)]
