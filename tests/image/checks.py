"""What must hold for an image and for its containers. Each check raises AssertionError, and returns what it saw."""

import json
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.image.commands import run
from tests.image.container import Container
from tests.image.dockerfile import Stage

READY = r" ready$"
QUICKLY = 10.0
"""Seconds in which a container with nothing to do must have ended."""

INSTALLED = "opt/naiad"
NOT_SERVING = ("cargo", "cc", "gcc", "rustc", "semantic_version", "setuptools", "setuptools_rust", "wheel")
WITHOUT_NATIVE = "gRPC is served by grpcio"
TROUBLE = rf"Traceback|telemetry|:onnxruntime:|\[error|\[warning(?!.*(GPUs are not used|{WITHOUT_NATIVE}))"
"""What no log may have; that the packages for GPUs find none here is said by the server, rightly."""


@dataclass(frozen=True, slots=True)
class Built:
    """A built image: the stage it is of, its `config`, its files, the sample repository, and room for containers.

    native: whether it was built with `naiad._native`.
    """

    stage: Stage
    config: Mapping[str, Any]
    files: Path
    samples: Path
    room: Path
    native: bool
    numbers: Iterator[int]

    def container(self, *command: str) -> Container:
        """A container of it, not started; a command in place of the image's own."""
        room = self.room / f"naiad-image-test-{self.stage.name}-{next(self.numbers)}"
        return Container(room, self.config, self.files, self.samples, command or None)


def built(stage: Stage, config: Mapping[str, Any], files: Path, samples: Path, room: Path, *, native: bool) -> Built:
    return Built(stage, config, files, samples, room, native, count(1))


def the_builder_understood_what_engines_are_told(image: Built) -> str:
    told, config = image.stage, image.config
    assert config["User"] == told.one("USER").value, config["User"]
    assert config["WorkingDir"] == told.one("WORKDIR").value
    assert set(config["ExposedPorts"]) == {f"{port}/tcp" for port in told.one("EXPOSE").arguments}
    assert config["Healthcheck"]["Test"] == ["CMD", *told.health_command]
    assert config["Entrypoint"] == json.loads(told.one("ENTRYPOINT").value)
    assert config["Cmd"] == json.loads(told.one("CMD").value)
    assert config["Labels"]["org.opencontainers.image.title"] == "Naiad"
    return f"user {config['User']}, ports {', '.join(config['ExposedPorts'])}, a health check"


def nothing_is_writable_for_the_user_and_nothing_is_there_that_only_builds(image: Built) -> str:
    user = int(image.config["User"].split(":")[0])
    paths = [path for path in (image.files / INSTALLED).rglob("*") if not path.is_symlink()]
    writable = [path for path in paths if path.stat().st_uid == user or path.stat().st_mode & stat.S_IWOTH]
    assert paths
    assert not writable, writable[:3]
    left = [path for path in paths if path.name in NOT_SERVING]
    assert not left, left
    return f"{len(paths)} files and directories in /{INSTALLED}"


def the_command_checks_a_mounted_repository(image: Built) -> str:
    with image.container("check", "/models") as container:
        code = container.wait()
        assert code == 0, container.log
        assert "digits" in container.log
    return "naiad check /models ends with 0"


def a_server_answers_and_stops(image: Built) -> Iterator[str]:
    """One container from its start to its end, as an orchestrator sees it."""
    with image.container() as container:
        yield f"ready {container.line(READY):.1f} s after the start"
        yield _the_processes(container, image.config["User"].split(":")[0])
        yield _listens(container)
        code = container.execute(*image.stage.health_command)
        assert code == 0, f"the health check ended with {code}\n{container.log}"
        yield "the health check says healthy"
        yield _wire(container, native=image.native)
        yield _inference(container, image.samples)
        told = container.signal("TERM")
        code = container.wait()
        seconds = time.monotonic() - told
        assert code == 0, f"after SIGTERM it ended with {code}\n{container.log}"
        assert re.search(r" stopped$", container.log, re.MULTILINE), container.log
        assert not re.search(TROUBLE, container.log), container.log
        yield f"SIGTERM ends it with exit code 0 after {seconds:.1f} s"


def _the_processes(container: Container, user: str) -> str:
    server = container.children()
    first = _status(container.pid)
    assert first["Name"] == "tini", first["Name"]
    for status in (first, _status(server)):
        assert set(status["Uid"].split()) == {user}, status["Uid"]
        assert int(status["CapEff"], 16) == 0, status["CapEff"]
    return f"process 1 is tini, the server is user {user} without capabilities on a read-only file system"


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _listens(container: Container) -> str:
    """Read which addresses are listened on: state 0A in /proc/net/tcp, addresses in hexadecimal."""
    rows = [line.split() for line in Path(f"/proc/{container.pid}/net/tcp").read_text().splitlines()[1:]]
    rows += [line.split() for line in Path(f"/proc/{container.pid}/net/tcp6").read_text().splitlines()[1:]]
    listening = {(int(row[1].split(":")[0], 16), int(row[1].split(":")[1], 16)) for row in rows if row[3] == "0A"}
    assert {(0, 8000), (0, 8001)} <= listening, listening
    assert all(address == 0 for address, _ in listening), listening
    return f"listens on every interface, ports {', '.join(str(port) for _, port in sorted(listening))}"


def _wire(container: Container, *, native: bool) -> str:
    """Read from the log whether gRPC is served by the native part: what does without it says so."""
    assert (WITHOUT_NATIVE in container.log) is not native, container.log
    return "gRPC is served natively" if native else "gRPC is served by grpcio, and the log says why"


def _inference(container: Container, samples: Path) -> str:
    inside = ["nsenter", f"--net=/proc/{container.pid}/ns/net", sys.executable, "-m", "tests.image.client"]
    found = json.loads(run([*inside, "127.0.0.1:8001"], 120))
    recorded = json.loads((samples / "accuracy.json").read_text())
    expected = {
        model: {version: on_record["correct"] for version, on_record in versions.items()}
        for model, versions in recorded.items()
    }
    assert found == expected, f"got {found}, on record {expected}"
    best = recorded["digits"]["2"]
    return f"inference: {best['correct']} of {best['held_out']} held-out digits right, as without a server"


def a_signal_before_the_server_listens_for_it_ends_the_container_too(image: Built) -> str:
    with image.container() as container:
        container.children()
        told = container.signal("TERM")
        code = container.wait()
        seconds = time.monotonic() - told
        assert seconds < QUICKLY, seconds
        assert code in (0, 143), f"it ended with {code}\n{container.log}"
    return f"SIGTERM right after the start ends it after {seconds:.1f} s"


IMAGE_CHECKS: tuple[Callable[[Built], str], ...] = (
    the_builder_understood_what_engines_are_told,
    nothing_is_writable_for_the_user_and_nothing_is_there_that_only_builds,
    the_command_checks_a_mounted_repository,
    a_signal_before_the_server_listens_for_it_ends_the_container_too,
)
