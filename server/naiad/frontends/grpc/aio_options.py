"""The settings of a transport as the arguments that gRPC's core takes.

Message sizes: grpcio refuses with a text of its own what is above the limit that it knows, and that text names no
flag of ours. It is therefore told more than our limit (`slack`), and what lies between is read and refused by the
transport, in our words. A refused message so takes at most grpcio's limit of memory, while it is read; how many are
read at a time is bounded by connections and streams only, since grpcio's memory quota cannot be set from Python.
"""

from __future__ import annotations

from naiad.frontends.grpc.transport import TransportSettings

_LARGEST_LIMIT = 2**31 - 1
_FOR_EVER = 2**31 - 1
"""Milliseconds that gRPC's core takes for no limit."""


def slack(limit: int) -> int:
    """The limit that grpcio is told, so that we can refuse in our own words what is not absurdly large."""
    return min(max(2 * limit, 16 * 2**20), _LARGEST_LIMIT)


def options(settings: TransportSettings) -> list[tuple[str, int]]:
    def milliseconds(seconds: float) -> int:
        return round(seconds * 1000)

    return [
        ("grpc.so_reuseport", int(settings.reuse_port)),  # grpcio's default shares a port in use silently
        ("grpc.max_receive_message_length", slack(settings.max_message_size)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_metadata_size),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_size),  # else some above the first one may pass
        ("grpc.max_concurrent_streams", settings.max_concurrent_streams),
        # Above 1000 waiting calls grpcio would cancel some of them, whoever's they are; streams bound them already.
        ("grpc.server.max_pending_requests", _FOR_EVER),
        ("grpc.server.max_pending_requests_hard_limit", _FOR_EVER),
        ("grpc.server_handshake_timeout_ms", milliseconds(settings.handshake_timeout)),
        ("grpc.keepalive_time_ms", milliseconds(settings.keepalive_time)),
        ("grpc.keepalive_timeout_ms", milliseconds(settings.keepalive_timeout)),
        ("grpc.http2.ping_timeout_ms", milliseconds(settings.keepalive_timeout)),  # else a minute, whatever it is
        ("grpc.max_connection_idle_ms", milliseconds(settings.max_connection_idle)),
        ("grpc.max_connection_age_ms", milliseconds(settings.max_connection_age) or _FOR_EVER),
        ("grpc.max_connection_age_grace_ms", milliseconds(settings.max_connection_age_grace)),
        ("grpc.keepalive_permit_without_calls", int(settings.keepalive_without_calls)),
        ("grpc.http2.max_pings_without_data", settings.max_pings_without_data),
        ("grpc.http2.min_ping_interval_without_data_ms", milliseconds(settings.least_ping_interval)),
        ("grpc.http2.max_ping_strikes", settings.max_ping_strikes),
        ("grpc.default_compression_level", settings.compression),
    ]
