"""Naiad on each of its transports, and the bare servers that each is measured against.

What cannot be had on a machine is left out, and said with its reason; all else is measured as if it did not exist.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from benchmarks import servers, tonic
from benchmarks.load import Row
from benchmarks.report import Budget
from benchmarks.servers import Server
from tests.tools.debian import NotHereError

AIO, NATIVE, BARE_AIO = "Naiad over grpc.aio", "Naiad over its native transport", "bare grpc.aio echo"
TONIC, QUEUED = tonic.INLINE, tonic.QUEUED
FLAGS = {AIO: "--grpc-transport=aio", NATIVE: "--grpc-transport=native"}
TONIC_NOTE = (
    f"The {TONIC} (benchmarks/echo_tonic) answers a call where it comes in, on the one thread it has; behind a queue "
    "each call passes through a second thread, as it does in servers that do something."
)


class Found(NamedTuple):
    """Servers that run. left_out: a sentence for each that does not."""

    servers: Sequence[Server]
    left_out: Sequence[str]


@contextmanager
def started(names: Sequence[str], repository: Path) -> Iterator[Found]:
    """Those of AIO, NATIVE, BARE_AIO, TONIC and QUEUED that are in `names`; Naiad's are ready with `repository`."""
    running, left_out = [], []
    with ExitStack() as stack:
        for name in names:
            try:
                running.append(stack.enter_context(_start(name, repository)))
            except NotHereError as missing:
                left_out.append(f"Left out, {name}: {missing}")
        yield Found(running, left_out)


@contextmanager
def _start(name: str, repository: Path) -> Iterator[Server]:
    check(name)
    if name == BARE_AIO:
        start = servers.started(name, [sys.executable, "-m", "benchmarks.echo"])
    elif name in FLAGS:
        start = servers.naiad(name, repository, FLAGS[name])
    else:
        start = tonic.started(name)
    with start as server:
        yield server


def check(name: str) -> None:
    """NotHereError where this transport of Naiad's is not built."""
    if name == NATIVE and find_spec("naiad._native") is None:
        raise NotHereError("naiad._native is not built")


def ratio(what: str, of: Row | None, to: Row | None, field: str, limit: float) -> list[Budget]:
    """How `of` compares with `to`, by minimum and by median; nothing where one of them was left out."""
    if of is None or to is None:
        return []
    named = f"{what}, {of.server} / {to.server}"
    return [
        Budget(f"{named}, by minimum", of.least(field) / to.least(field), limit),
        Budget(f"{named}, by median", of.median(field) / to.median(field), limit),
    ]
