"""What settings ask for, as the parts of a server take it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

from naiad.frontends.grpc.transport import Tls, TransportSettings
from naiad.frontends.grpc.wired import Wired, aio, native
from naiad.observability import cgroup
from naiad.observability.access import AccessLog
from naiad.observability.outlet import descriptor_of
from naiad.repository.asked import Asked
from naiad.repository.loading import Loader
from naiad.repository.rollback import Trust
from naiad.repository.survey import Survey, Watch
from naiad.settings import Settings
from naiad.starting import CannotStart, bad_certificates, bad_transport, why_not_native

_NEVER_MS = 2**31 - 1
"""How gRPC is told that there are to be no pings, or that idle connections may stay."""
LEAST_EXIT_SECS = 1.0
"""What stopping gets at least: a server without requests needs some milliseconds for it."""
_NOT_ON_SOCKETS = "serves Unix sockets only when asked for: --grpc-transport has the reason"
_COMPRESSION = {"none": 0, "low": 1, "medium": 2, "high": 3}

log = logging.getLogger(__name__)


def asked(settings: Settings) -> Asked:
    everything = settings.model_control_mode != "explicit" or settings.load_model == ["*"]
    return Asked(
        models=None if everything else frozenset(settings.load_model),
        config_name=settings.model_config_name or "",
        complete=not settings.disable_auto_complete_config,
    )


def survey(settings: Settings, loader: Loader) -> Survey:
    watch = Watch(settings.repository_settle_secs)
    return Survey(settings.model_repository, loader, asked(settings), watch, replace=settings.swap == "replace")


def trust(settings: Settings) -> Trust | None:
    if settings.rollback_error_rate is None:
        return None
    return Trust(settings.rollback_error_rate, settings.rollback_window_secs)


def bad_grpc(settings: Settings) -> Iterator[str]:
    if settings.allow_grpc:
        yield from bad_transport(settings.grpc_transport, settings.origin("grpc_transport"))
        names = ("grpc_server_key", "grpc_root_cert", "grpc_server_cert")
        yield from bad_certificates(tls(settings), {getattr(settings, name): settings.origin(name) for name in names})


def tls(settings: Settings) -> Tls | None:
    certificate, key, authority = settings.grpc_server_cert, settings.grpc_server_key, settings.grpc_root_cert
    if not settings.uses_tls:
        return None
    if certificate is None or key is None or (settings.grpc_use_ssl_mutual and authority is None):
        raise CannotStart("TLS without its files, which the settings should have refused")
    return Tls(certificate, key, authority if settings.grpc_use_ssl_mutual else None)


def wired(settings: Settings) -> Wired:
    """What serves gRPC. Where that is nothing, it is a transport that never starts."""
    max_bytes = settings.max_bytes_in_flight or cgroup.memory_limit() // 4
    asked = settings.grpc_transport if settings.allow_grpc else "aio"
    missing = why_not_native() or (_NOT_ON_SOCKETS if settings.grpc_address.startswith("unix:") else "")
    if asked == "native" or (asked is None and not missing):
        return native(transport(settings), max_bytes)
    if asked is None:
        log.info("gRPC is served by grpcio: the native transport, which needs far less CPU, %s", missing)
    return aio(transport(settings), max_bytes)


def transport(settings: Settings) -> TransportSettings:
    return TransportSettings(
        host=settings.grpc_address,
        port=settings.grpc_port,
        reuse_port=settings.reuse_grpc_port,
        max_message_size=settings.grpc_max_message_size,
        max_metadata_size=settings.grpc_max_metadata_size,
        max_concurrent_streams=settings.grpc_max_concurrent_streams,
        handshake_timeout=settings.grpc_handshake_timeout / 1000,
        compression=_COMPRESSION[settings.grpc_infer_response_compression_level],
        keepalive_time=(settings.grpc_keepalive_time or _NEVER_MS) / 1000,
        keepalive_timeout=settings.grpc_keepalive_timeout / 1000,
        keepalive_without_calls=settings.grpc_keepalive_permit_without_calls,
        max_pings_without_data=settings.grpc_http2_max_pings_without_data,
        least_ping_interval=settings.grpc_http2_min_recv_ping_interval_without_data / 1000,
        max_ping_strikes=settings.grpc_http2_max_ping_strikes,
        max_connection_idle=(settings.grpc_max_connection_idle or _NEVER_MS) / 1000,
        max_connection_age=settings.grpc_max_connection_age / 1000,
        max_connection_age_grace=settings.grpc_max_connection_age_grace / 1000,
        tls=tls(settings),
    )


def exit_timeout(settings: Settings) -> float:
    return max(LEAST_EXIT_SECS, settings.exit_timeout_secs)


def access_log(settings: Settings) -> AccessLog | None:
    """Where the requests are logged, if they are."""
    if not settings.access_log:
        return None
    return AccessLog(descriptor_of(sys.stdout), settings.log_format)
