"""A bare tonic server in Rust (echo_tonic/), for comparison: the same canned answers as the bare grpc.aio server's.

It is compiled when it is measured, which needs cargo; what cargo makes is in `.venv/peers`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import echo, peers, servers
from benchmarks.servers import Server
from tests.tools.debian import NotHereError, run

INLINE, QUEUED = "bare tonic echo", "tonic echo behind a queue"
CRATE = servers.ROOT / "benchmarks" / "echo_tonic"


@contextmanager
def started(name: str) -> Iterator[Server]:
    """INLINE or QUEUED until the end of the block; NotHereError where it cannot be compiled."""
    program = _compiled(peers.DIRECTORY / "echo_tonic")
    with tempfile.TemporaryDirectory() as directory:
        for method, message in echo.answers().items():
            (Path(directory) / method).write_bytes(message.SerializeToString())
        ways = ["queued"] if name == QUEUED else []
        with servers.started(name, [str(program), directory, *ways]) as server:
            yield server


def _compiled(target: Path) -> Path:
    """The program, compiled anew where its source has changed."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise NotHereError(f"the {INLINE} needs cargo, the package manager of Rust")
    run([cargo, "build", "--release", "--locked", f"--manifest-path={CRATE / 'Cargo.toml'}", f"--target-dir={target}"])
    return target / "release" / "echo-tonic"
