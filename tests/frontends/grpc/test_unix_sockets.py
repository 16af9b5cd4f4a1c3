"""Transports on Unix sockets, with grpcio's client, and what becomes of the socket's file."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest

from naiad.frontends.grpc.aio import AioTransport
from naiad.frontends.grpc.transport import Kind, TransportSettings
from tests.certificates import Authority, write
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import PATIENCE, TRANSPORTS, Wire, begin

NAMED = (("grpc.default_authority", "localhost"),)
"""What clients over grpcio must say: by themselves they send the path in the place of a host, which is none."""


@pytest.fixture(params=sorted(TRANSPORTS))
def make(request: pytest.FixtureRequest) -> Make:
    return TRANSPORTS[request.param]


@pytest.fixture
def path() -> Iterator[Path]:
    """Where a socket may be: a short path, since the system takes no long ones."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "grpc.sock"


def settings(path: Path) -> TransportSettings:
    return TransportSettings(host=f"unix:{path}")


@contextmanager
def channel(path: Path) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"unix:{quote(str(path))}", options=NAMED) as opened:
        yield opened


def served(wire: Wire, path: Path) -> str:
    """Have one call answered; gives who made it."""
    with channel(path) as opened:
        answer = begin(opened, b"question", wait_for_ready=True, timeout=PATIENCE)
        event = wire.next(Kind.MESSAGE)
        peer = str(event.call.peer)
        wire.reply(event, b"answer")
        assert answer.result(PATIENCE) == b"answer"
        return peer


@pytest.mark.parametrize("name", ["grpc.sock", "a b%20?#&=ö.sock"])
def test_a_unix_socket_is_served_has_no_port_and_is_gone_at_the_end(make: Make, path: Path, name: str) -> None:
    file = path.with_name(name)
    with Wire(make, settings(file)) as wire:
        assert wire.port == 0
        assert served(wire, file).startswith("unix:")
        assert file.is_socket()
    assert list(file.parent.iterdir()) == []


def test_over_grpc_aio_clients_that_send_the_path_for_a_host_are_served_too(path: Path) -> None:
    with Wire(AioTransport, settings(path)) as wire, grpc.insecure_channel(f"unix:{path}") as opened:
        answer = begin(opened, b"question", wait_for_ready=True, timeout=PATIENCE)
        wire.reply(wire.next(Kind.MESSAGE), b"answer")
        assert answer.result(PATIENCE) == b"answer"


def test_a_relative_path_is_one_of_the_working_directory(
    make: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    with Wire(make, settings(Path(path.name))) as wire:
        served(wire, path)


def test_what_a_killed_server_left_is_in_nobody_s_way(make: Make, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    assert path.is_socket()
    with Wire(make, settings(path)) as wire:
        served(wire, path)


def test_a_socket_that_another_server_listens_on_is_not_taken_from_it(make: Make, path: Path) -> None:
    with Wire(make, settings(path)) as wire:
        with pytest.raises(OSError, match=rf"{path}: Address already in use"):
            make(settings(path)).start((), lambda _: None)
        served(wire, path)


def test_a_server_that_is_too_busy_to_answer_keeps_its_socket(make: Make, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(OSError, match=rf"{path}: Address already in use"):
            make(settings(path)).start((), lambda _: None)
    assert path.is_socket()


def test_a_file_that_is_no_socket_stays_and_is_told(make: Make, path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(OSError, match=rf"{path}: there is a file that is no socket"):
        make(settings(path)).start((), lambda _: None)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere/grpc.sock", "No such file or directory"), ("a" * 200, "File name too long")]
)
def test_a_path_that_cannot_be_had_is_told(make: Make, path: Path, name: str, why: str) -> None:
    wrong = path.parent / name
    with pytest.raises(OSError, match=rf"{wrong}: .*{why}"):
        make(settings(wrong)).start((), lambda _: None)
    assert list(path.parent.iterdir()) == []


def test_a_socket_that_another_server_has_put_in_the_place_stays(make: Make, path: Path) -> None:
    with Wire(make, settings(path)):
        path.rename(path.with_name("moved"))
        with Wire(make, settings(path)) as second:
            os.link(path, path.with_name("kept"))
            served(second, path)


def test_a_unix_socket_may_be_served_over_tls(make: Make, path: Path, tmp_path: Path) -> None:
    authority = Authority()
    tls = write(tmp_path, authority.issue("naiad.test"))
    trust = grpc.ssl_channel_credentials(authority.pem)
    name = (("grpc.ssl_target_name_override", "naiad.test"),)
    with (
        Wire(make, TransportSettings(host=f"unix:{path}", tls=tls)) as wire,
        grpc.secure_channel(f"unix:{path}", trust, name) as secure,
    ):
        answer = begin(secure, b"question", wait_for_ready=True, timeout=PATIENCE)
        wire.reply(wire.next(Kind.MESSAGE), b"answer")
        assert answer.result(PATIENCE) == b"answer"
