"""What is grpcio's own about the asyncio transport."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import cast

import grpc
import pytest

from naiad.frontends.grpc.aio_listening import Listening
from naiad.frontends.grpc.aio_options import options as arguments
from naiad.frontends.grpc.transport import TransportSettings

MB = 2**20


@pytest.mark.parametrize(
    ("limit", "told"), [(1, 16 * MB), (8 * MB, 16 * MB), (256 * MB, 512 * MB), (2**31 - 1, 2**31 - 1)]
)
def test_grpcio_is_told_a_larger_limit_so_that_the_refusal_can_be_ours(limit: int, told: int) -> None:
    options = dict(arguments(TransportSettings(max_message_size=limit)))
    assert options["grpc.max_receive_message_length"] == told


def test_settings_in_seconds_are_told_in_milliseconds() -> None:
    options = dict(arguments(TransportSettings(handshake_timeout=1.5, keepalive_time=2, keepalive_timeout=0.25)))
    assert options["grpc.server_handshake_timeout_ms"] == 1500
    assert options["grpc.keepalive_time_ms"] == 2000
    assert options["grpc.keepalive_timeout_ms"] == options["grpc.http2.ping_timeout_ms"] == 250


class Refusing:
    """A server that refuses every address and does not say why, as grpcio's does."""

    def add_insecure_port(self, address: str) -> int:
        raise RuntimeError(f"Failed to bind to address {address}")


def refusal(settings: TransportSettings) -> OSError:
    with pytest.raises(OSError, match="gRPC cannot listen on") as caught:
        Listening(settings).begin(cast(grpc.aio.Server, Refusing()))
    return caught.value


@pytest.mark.parametrize("socket_file", [False, True])
def test_a_failure_to_listen_that_the_system_does_not_confirm_is_still_told(tmp_path: Path, socket_file: bool) -> None:
    host = f"unix:{tmp_path / 'grpc.sock'}" if socket_file else "127.0.0.1"
    assert "gave no reason" in str(refusal(TransportSettings(host=host, port=0)))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_to_listen_has_the_systems_reason_and_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refusal(TransportSettings(port=port))
    assert error.errno is not None
    assert str(error).endswith(f"gRPC cannot listen on 127.0.0.1 port {port}: Address already in use")
