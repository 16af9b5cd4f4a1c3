"""What is grpcio's own about the asyncio transport."""

from __future__ import annotations

import socket

import pytest

from naiad.frontends.grpc.aio import _bind_error, _options
from naiad.frontends.grpc.transport import TransportSettings

MB = 2**20


@pytest.mark.parametrize(
    ("limit", "told"), [(1, 16 * MB), (8 * MB, 16 * MB), (256 * MB, 512 * MB), (2**31 - 1, 2**31 - 1)]
)
def test_grpcio_is_told_a_larger_limit_so_that_the_refusal_can_be_ours(limit: int, told: int) -> None:
    options = dict(_options(TransportSettings(max_message_size=limit)))
    assert options["grpc.max_receive_message_length"] == told


def test_settings_in_seconds_are_told_in_milliseconds() -> None:
    options = dict(_options(TransportSettings(handshake_timeout=1.5, keepalive_time=2, keepalive_timeout=0.25)))
    assert options["grpc.server_handshake_timeout_ms"] == 1500
    assert options["grpc.keepalive_time_ms"] == 2000
    assert options["grpc.keepalive_timeout_ms"] == options["grpc.http2.ping_timeout_ms"] == 250


def test_a_failure_to_listen_that_the_system_does_not_confirm_is_still_told() -> None:
    assert "gave no reason" in str(_bind_error("127.0.0.1", 0))


def test_a_failure_to_listen_has_the_systems_reason_and_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = _bind_error("127.0.0.1", port)
    assert error.errno is not None
    assert str(error).endswith(f"gRPC cannot listen on 127.0.0.1 port {port}: Address already in use")
