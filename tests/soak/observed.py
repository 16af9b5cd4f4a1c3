"""A server process whose threads, descriptors, memory and objects a test can count, from outside and inside."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import cast

from tests.e2e.server import PATIENCE, Server
from tests.soak.probe import Told

ROOT = Path(__file__).resolve().parents[2]


class Observed(Server):
    """A `Server` that can be asked. manner: one of those of probe.py."""

    def __init__(self, repository: Path, transport: str, *, manner: str = "honest", flags: Iterable[str] = ()) -> None:
        super().__init__(repository, flags=[f"--grpc-transport={transport}", *flags], directory=ROOT)
        self._place = tempfile.TemporaryDirectory(prefix="soak")
        self._at = f"{self._place.name}/probe"
        python, _module, _naiad, *arguments = self._command
        self._command = [python, "-m", "tests.soak.probe", self._at, manner, *arguments]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._place:
            super().__exit__(kind, error, trace)

    def ask(self) -> Told:
        """What the process tells of itself."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PATIENCE)
            probe.connect(self._at)
            answer = b"".join(iter(lambda: probe.recv(65536), b""))
        return cast(Told, json.loads(answer))
