"""A container of an image, run by runc as an engine runs it, and tighter: no capability, nothing writable.

It has processes, a network and mounts of its own; its network has no device but the loopback, so that what runs in
it is reached from inside only (`nsenter`), and no port of the machine is taken.
"""

import json
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.image.commands import run

PATIENCE = 60.0
"""Seconds after which something that must happen counts as a hang."""

_CAPABILITIES = ("bounding", "effective", "inheritable", "permitted", "ambient")
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
_VIRTUAL = (
    ("/proc", "proc", ()),
    ("/dev", "tmpfs", ("nosuid", "mode=755", "size=64k")),
    ("/dev/shm", "tmpfs", ("nosuid", "noexec", "nodev", "mode=1777", "size=64m")),
    ("/sys", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
)
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


class ContainerFailed(Exception):
    """A container did not do what it had to; the text has the end of its log."""


def specification(
    image: Mapping[str, Any], root: Path, command: Sequence[str] | None, mounts: Mapping[Path, str]
) -> dict[str, Any]:
    """What runc's `config.json` says for an image's `config` object; `command` in place of its CMD."""
    uid, gid = map(int, image["User"].split(":"))
    virtual = [{"destination": at, "type": kind, "source": kind, "options": list(how)} for at, kind, how in _VIRTUAL]
    bound = [
        {"destination": inside, "type": "bind", "source": str(source), "options": ["rbind", "ro"]}
        for source, inside in mounts.items()
    ]
    process = {
        "user": {"uid": uid, "gid": gid},
        "args": [*image["Entrypoint"], *(image["Cmd"] if command is None else command)],
        "env": image["Env"],
        "cwd": image["WorkingDir"],
        "capabilities": {kind: [] for kind in _CAPABILITIES},
        "noNewPrivileges": True,
    }
    return {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(root), "readonly": True},
        "hostname": "naiad",
        "mounts": [*virtual, *bound],
        "linux": {"namespaces": [{"type": kind} for kind in _NAMESPACES]},
    }


class Container:
    """Started by `with`, killed at its end if it still runs. `begun` is when, in `time.monotonic` seconds."""

    def __init__(
        self,
        directory: Path,
        image: Mapping[str, Any],
        root: Path,
        models: Path,
        command: Sequence[str] | None = None,
    ) -> None:
        self._directory = directory
        self._runc = ("runc", "--root", str(directory / "state"))
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "hosts").write_text(HOSTS)
        mounts = {models: "/models", directory / "hosts": "/etc/hosts"}
        (directory / "config.json").write_text(json.dumps(specification(image, root, command, mounts)))

    def __enter__(self) -> Self:
        self.begun = time.monotonic()
        self._process = subprocess.Popen(
            [*self._runc, "run", "--bundle", str(self._directory), self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="container-log", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            run([*self._runc, "delete", "--force", self.name])
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    @property
    def name(self) -> str:
        return self._directory.name

    @property
    def log(self) -> str:
        """What it wrote so far, stdout and stderr."""
        with self._news:
            return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The first process of the container, as the machine numbers it."""
        return int(json.loads(run([*self._runc, "state", self.name]))["pid"])

    def line(self, pattern: str) -> float:
        """Wait until a line of the log matches; gives the seconds since the start."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._has(pattern), PATIENCE)
            found = self._has(pattern)
        if not found:
            raise ContainerFailed(f"no line of the log matches {pattern!r}\n{self.log}")
        return time.monotonic() - self.begun

    def children(self) -> int:
        """Wait until the first process has a child, and return the child's pid as the machine numbers it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            state = subprocess.run([*self._runc, "state", self.name], capture_output=True, text=True, check=False)
            pid = json.loads(state.stdout)["pid"] if state.returncode == 0 else 0
            listed = Path(f"/proc/{pid}/task/{pid}/children")
            if pid and listed.exists() and (child := listed.read_text().split()):
                return int(child[0])
            time.sleep(0.002)
        raise ContainerFailed(f"the first process has no child\n{self.log}")

    def execute(self, *command: str) -> int:
        """Run a command beside the first process, as the same user; gives its exit code."""
        inside = [*self._runc, "exec", self.name, *command]
        return subprocess.run(inside, capture_output=True, timeout=PATIENCE, check=False).returncode

    def signal(self, name: str) -> float:
        """Signal the first process; gives when, in `time.monotonic` seconds."""
        run([*self._runc, "kill", self.name, name])
        return time.monotonic()

    def wait(self) -> int:
        """Wait for the end; gives the exit code of the first process."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise ContainerFailed(f"it still runs after {PATIENCE:g} s\n{self.log}") from None
        self._reader.join(PATIENCE)
        return code

    def _has(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in self._lines)

    def _read(self) -> None:
        if self._process.stdout is None:
            raise TypeError("the container was started without a pipe for its log")
        with self._process.stdout as log:
            for line in log:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
