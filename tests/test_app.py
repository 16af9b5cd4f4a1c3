"""What the settings ask of the parts."""

from pathlib import Path

import pytest

from naiad import parts
from naiad.frontends.grpc.transport import Tls, TransportSettings
from naiad.repository.asked import Asked
from naiad.settings import Settings


def test_every_setting_of_the_transport_reaches_it() -> None:
    flags = {
        "grpc-address": "0.0.0.0",  # noqa: S104 -- nothing listens
        "grpc-port": 1,
        "reuse-grpc-port": 1,
        "grpc-max-message-size": 2,
        "grpc-max-metadata-size": 2048,
        "grpc-max-concurrent-streams": 10,
        "grpc-handshake-timeout": 11_000,
        "grpc-use-ssl": 1,
        "grpc-use-ssl-mutual": 1,
        "grpc-server-cert": "a",
        "grpc-server-key": "b",
        "grpc-root-cert": "c",
        "grpc-infer-response-compression-level": "medium",
        "grpc-keepalive-time": 3000,
        "grpc-keepalive-timeout": 4000,
        "grpc-keepalive-permit-without-calls": 1,
        "grpc-http2-max-pings-without-data": 5,
        "grpc-http2-min-recv-ping-interval-without-data": 6000,
        "grpc-http2-max-ping-strikes": 7,
        "grpc-max-connection-idle": 12_000,
        "grpc-max-connection-age": 8000,
        "grpc-max-connection-age-grace": 9000,
    }
    settings = Settings.parse([f"--{name}={value}" for name, value in flags.items()], {})
    assert parts.transport(settings) == TransportSettings(
        host="0.0.0.0",  # noqa: S104 -- as above
        port=1,
        reuse_port=True,
        max_message_size=2,
        max_metadata_size=2048,
        max_concurrent_streams=10,
        handshake_timeout=11.0,
        tls=Tls(Path("a"), Path("b"), Path("c")),
        compression=2,
        keepalive_time=3.0,
        keepalive_timeout=4.0,
        keepalive_without_calls=True,
        max_pings_without_data=5,
        least_ping_interval=6.0,
        max_ping_strikes=7,
        max_connection_idle=12.0,
        max_connection_age=8.0,
        max_connection_age_grace=9.0,
    )


def test_the_transport_s_own_defaults_are_those_of_the_settings() -> None:
    assert parts.transport(Settings.parse([], {})) == TransportSettings()


def test_no_time_between_pings_or_of_a_connection_is_none_at_all() -> None:
    flags = ["--grpc-keepalive-time=0", "--grpc-max-connection-idle=0", "--grpc-max-connection-age=-1"]
    transport = parts.transport(Settings.parse(flags, {}))
    assert (transport.keepalive_time, transport.max_connection_idle) == ((2**31 - 1) / 1000,) * 2
    assert transport.max_connection_age == 0


def test_certificates_are_asked_of_clients_where_that_is_asked_for_alone() -> None:
    files = ["--grpc-server-cert=a", "--grpc-server-key=b", "--grpc-root-cert=c"]
    assert parts.transport(Settings.parse(["--grpc-use-ssl", *files], {})).tls == Tls(Path("a"), Path("b"))
    assert parts.transport(Settings.parse(files, {})).tls is None


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        ([], Asked()),
        (["--model-control-mode=explicit", "--load-model=a", "--load-model=b"], Asked(models=frozenset({"a", "b"}))),
        (["--model-control-mode=explicit", "--load-model=*"], Asked()),
        (["--model-config-name=x", "--strict-model-config=1"], Asked(config_name="x", complete=False)),
    ],
)
def test_what_the_flags_ask_of_the_repositories(flags: list[str], asked: Asked) -> None:
    assert parts.asked(Settings.parse(flags, {})) == asked
