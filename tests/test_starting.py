"""What is in the way of a start is told by the flag that asked for it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from naiad.frontends.grpc.transport import Tls
from naiad.starting import CannotStart, bad_certificates, bad_transport, listening, place


def test_a_transport_that_is_not_built_is_refused_with_what_builds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "naiad._native", None)
    (line,) = bad_transport("native", "NAIAD_GRPC_TRANSPORT")
    assert line.startswith("NAIAD_GRPC_TRANSPORT: got 'native', which is not built: ")
    assert "cargo" in line
    assert line.endswith("'aio' always works")


def test_a_transport_that_cannot_be_loaded_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError(f"{name} needs GLIBC_9.99")

    monkeypatch.setattr(importlib, "import_module", broken)
    (line,) = bad_transport("native", "--grpc-transport")
    assert "which cannot be loaded: naiad._native needs GLIBC_9.99" in line


@pytest.mark.parametrize("asked", ["aio", None])
def test_what_needs_nothing_built_is_in_nobody_s_way(monkeypatch: pytest.MonkeyPatch, asked: str | None) -> None:
    monkeypatch.setitem(sys.modules, "naiad._native", None)
    assert list(bad_transport(asked, "--grpc-transport")) == []


def test_a_file_of_tls_is_told_by_the_place_that_names_it(tmp_path: Path) -> None:
    certificate, key = tmp_path / "a", tmp_path / "b"
    origins: dict[Path | None, str] = {None: "nobody", certificate: "--grpc-server-cert", key: "naiad.toml:3: key"}
    lines = list(bad_certificates(Tls(certificate, key), origins))
    assert [line.partition(f": {tmp_path}")[0] for line in lines] == ["--grpc-server-cert", "naiad.toml:3: key"]
    assert list(bad_certificates(None, origins)) == []


@pytest.mark.parametrize(
    ("error", "host", "told"),
    [
        (OSError(98, "..."), "127.0.0.1", "127.0.0.1:1 (--grpc-address, --grpc-port): Address already in use"),
        (OSError(98, "..."), "unix:/a/b", "unix:/a/b (--grpc-address): Address already in use"),
        (ValueError("/a/b: found no PEM"), "127.0.0.1", "127.0.0.1:1: /a/b: found no PEM"),
    ],
)
def test_a_place_that_cannot_be_listened_on_is_told_with_its_flags(error: Exception, host: str, told: str) -> None:
    def refuse() -> int:
        raise error

    with pytest.raises(CannotStart) as caught:
        listening("grpc", host, 1, refuse)
    assert str(caught.value) == f"cannot listen on {told}"


def test_a_unix_socket_is_shown_without_a_port() -> None:
    assert (place("unix:/a", 1), place("a", 1)) == ("unix:/a", "a:1")
