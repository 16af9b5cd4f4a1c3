"""How often a large request's bytes are copied on each transport: counted, and told by whom.

- In the process, valgrind's DHAT counts what goes through memcpy and its like, with the callers of each. What a start
  of the server copies is subtracted. What the allocator moves when a block grows is not among it.
- By the kernel, every byte of a request or an answer is copied once, from or to the socket. The client counts them.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import client, install_valgrind, models, servers, transports
from benchmarks.client import Traffic
from benchmarks.options import Options
from benchmarks.payloads import PAYLOADS, Payload
from benchmarks.report import Section, Table, figure
from benchmarks.transports import AIO, NATIVE
from tests.tools.debian import NotHereError

TITLE = "Bytes copied for a large message"
DHAT = ("--tool=dhat", "--mode=copy")
LEAST = 0.05
"""The least part of a tensor that a place must copy to be listed."""
PYTHON, UNNAMED = "Python", "???"
FRAME = re.compile(r"0x[0-9A-F]+: (?P<function>.*) \((?:in (?P<file>\S+)|\S+:\d+)\)")
EXPLAINED = {
    "PyBytes_FromStringAndSize for cygrpc": "each piece that came from the socket becomes Python bytes",
    "stringlib_bytes_join for cygrpc": "the pieces are joined into the message",
    "stringlib_bytes_join for Python code": "the parts of the answer are joined into one message",
    "cygrpc": "the message of the answer goes into a slice of gRPC's own",
    "naiad_native::framing": "the HTTP/2 frames of a request are joined into its message",
}
"""What a place does, by how its name begins."""


class Counted(NamedTuple):
    """For one request: bytes on the wire, and bytes copied in the process by each place."""

    traffic: Traffic
    places: Counter[str]


def measure(options: Options) -> Section:
    try:
        valgrind = install_valgrind.found()
    except NotHereError as missing:
        return Section(TITLE, [f"Left out: {missing}"])
    found: dict[tuple[str, Payload], Counted] = {}
    left_out = []
    for name in (AIO, NATIVE):
        try:
            transports.check(name)
        except NotHereError as missing:
            left_out.append(f"Left out, {name}: {missing}")
        else:
            found |= {(name, payload): counted for payload, counted in _counted(valgrind, name, options).items()}
    note = (
        "One request at a time, as in the section before. Every byte on the socket is copied once by the kernel; what "
        "is copied in the process is counted by valgrind's DHAT, and compared with the tensors that travel."
    )
    return Section(TITLE, (note, *left_out), [_totals(found), _by_place(found)])


def _counted(valgrind: str, name: str, options: Options) -> dict[Payload, Counted]:
    with tempfile.TemporaryDirectory() as directory:
        repository, profile = Path(directory) / "models", Path(directory) / "profile"
        model = models.pair(repository)
        dhat = (valgrind, *DHAT, f"--dhat-out-file={profile}")
        with servers.naiad(name, repository, transports.FLAGS[name], under=dhat):
            pass
        idle = places(json.loads(profile.read_text()))
        counted = {}
        for payload in PAYLOADS:
            calls = 1 + options.copied // payload.nbytes
            with servers.naiad(name, repository, transports.FLAGS[name], under=dhat) as server:
                traffic = client.traffic(server, payload.message(model), calls)
            copied = places(json.loads(profile.read_text()))
            copied.subtract(idle)
            counted[payload] = Counted(traffic, Counter({one: size // (calls + 1) for one, size in copied.items()}))
    return counted


def places(profile: dict[str, Any]) -> Counter[str]:
    """Bytes copied by each place, from what DHAT wrote."""
    frames: list[str] = profile["ftbl"]
    copied: Counter[str] = Counter()
    for point in profile["pps"]:
        copied[place([frames[at] for at in point["fs"]])] += point["tb"]
    return copied


def place(frames: Sequence[str]) -> str:
    """Who copies: the function that calls memcpy, or its file where it has no name, and for whom Python does it."""
    callers = [found for found in map(FRAME.fullmatch, frames) if found and "vgpreload" not in (found["file"] or "")]
    if not callers:
        return "unknown"
    first, *others = callers
    function = first["function"] if first["function"] != UNNAMED else _file(first)
    return f"{function} for {_owner(others)}" if _file(first) == PYTHON else function


def _owner(callers: Iterable[re.Match[str]]) -> str:
    """For whom a function of Python's own works: an extension module, or Python code."""
    for caller in callers:
        if _file(caller) != PYTHON:
            return _file(caller)
        if caller["function"].startswith("_PyEval"):
            break
    return f"{PYTHON} code"


def _file(caller: re.Match[str]) -> str:
    """The name of the library without its endings; PYTHON also where there is a line of source instead."""
    name = Path(caller["file"] or PYTHON).name.partition(".")[0]
    return PYTHON if name.startswith(("libpython", "python")) else name


def _totals(found: Mapping[tuple[str, Payload], Counted]) -> Table:
    rows = []
    for (name, payload), counted in found.items():
        tensors = payload.nbytes * (2 if payload.returned else 1)
        wire, copied = sum(counted.traffic), counted.places.total()
        rows.append((name, str(payload), *map(_megabytes, (tensors, wire, copied)), figure(copied / tensors)))
    head = ("server", "request", "MB of tensors", "copied by the kernel", "in the process", "in the process / tensors")
    return Table(head, rows)


def _by_place(found: Mapping[tuple[str, Payload], Counted]) -> Table:
    rows = [
        (name, str(payload), one, _megabytes(size), _explained(one))
        for (name, payload), counted in found.items()
        for one, size in counted.places.most_common()
        if size > LEAST * payload.nbytes
    ]
    return Table(("server", "request", "copied in the process by", "MB", "what for"), rows)


def _explained(place: str) -> str:
    return next((words for begin, words in EXPLAINED.items() if place.startswith(begin)), "-")


def _megabytes(nbytes: float) -> str:
    return figure(nbytes / 1e6)
