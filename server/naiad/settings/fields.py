"""Every setting of the process, once: its type, default, help text and group.

A setting `some_name` is the flag `--some-name`, the environment variable `NAIAD_SOME_NAME` and the key `some-name` of
a settings file. A field's title says what its value looks like where its type does not. Names and meanings are
tritonserver's where it has the setting.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from naiad.observability.logs import Level
from naiad.settings.kinds import (
    SERVER_NAME,
    BackendOption,
    Compression,
    ConfigName,
    ControlMode,
    Count,
    Directory,
    File,
    Host,
    HostOrSocket,
    Interval,
    LogFormat,
    MetadataSize,
    MetricsOption,
    Milliseconds,
    MillisecondsOrNever,
    Port,
    Seconds,
    ServerName,
    Share,
    Swap,
    Threads,
    Verbosity,
    Wire,
)


class Group(BaseModel):
    """Settings that are shown together, under `heading`."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    heading: ClassVar[str] = ""


class Repository(Group):
    heading = "Model repository"

    model_repository: list[Directory] = Field(
        default_factory=list,
        title="DIRECTORY",
        description="Directory of models, or one model's own directory. May be repeated.",
    )
    model_control_mode: ControlMode = Field(
        "poll",
        description="How models come and go: all are loaded at the start, and again whenever their files change "
        "(poll); at the start alone (none); or those that --load-model names, and what clients load and unload "
        "(explicit).",
    )
    repository_poll_secs: Seconds = Field(
        15,
        description="With --model-control-mode=poll: how often everything is looked at. Most changes are heard of at "
        "once; on file systems of other machines this finds them. 0: never.",
    )
    repository_settle_secs: Seconds = Field(
        1,
        description="With --model-control-mode=poll: how long files must have stayed as they are before they are "
        "loaded. A finished directory that is renamed into its place is loaded at once.",
    )
    load_model: list[str] = Field(
        default_factory=list,
        title="MODEL",
        description="With --model-control-mode=explicit: a model to load at the start; * loads all. May be repeated.",
    )
    allow_code_upload: bool = Field(
        False,
        description="Take files that may hold code from clients that load a model with files of their own. "
        "Whoever can call the server can then run anything in it.",
    )
    exit_on_error: bool = Field(
        False,
        description="End with exit code 1 when a model fails to load at the start, instead of serving the others.",
    )
    strict_readiness: bool = Field(
        False, description="Be ready only while every model is; otherwise once the first pass of loading has ended."
    )
    disable_auto_complete_config: bool = Field(
        False, description="Demand configs that name their inputs and outputs, instead of completing them."
    )
    model_config_name: ConfigName | None = Field(
        None,
        title="NAME",
        description="Read configs/NAME.pbtxt of each model that has it instead of its config.pbtxt.",
    )
    model_load_thread_count: Threads = Field(4, description="How many versions load at the same time; 0 is 1.")
    model_load_retry_count: int = Field(
        0, ge=0, le=1000, description="How often the load of a version is tried again after it failed."
    )
    model_load_timeout_secs: Seconds = Field(
        300,
        description="How long one version may take to load, all tries together, before it counts as failed; "
        "0: as long as it wants.",
    )
    swap: Swap = Field(
        "beside",
        description="How a version takes another's place: it is loaded beside what serves, or, where memory is short, "
        "after that was unloaded, while requests wait in the queue (replace). A config can say the same of its model, "
        "with the parameter swap.",
    )
    rollback_error_rate: Share | None = Field(
        None,
        description="Which share of its requests a version may fail after a swap, 0 to 1; when it fails more, what "
        "served before serves again. Default: no version is judged.",
    )
    rollback_window_secs: Seconds = Field(
        60,
        description="With --rollback-error-rate: for how long a version is judged, and what served before it is kept.",
    )
    backend_config: list[BackendOption] = Field(
        default_factory=list,
        title="BACKEND,KEY=VALUE",
        description="An option of a backend, or default-max-batch-size=N for all of them. May be repeated.",
    )


class Grpc(Group):
    heading = "gRPC"

    allow_grpc: bool = Field(True, description="Serve gRPC.")
    grpc_transport: Wire = Field(
        None,
        description="What serves gRPC: HTTP/2 in Rust (native), or grpcio (aio). Default: native where it is built, "
        "but aio on a Unix socket, where grpcio's clients name a host that the native one refuses.",
    )
    grpc_address: HostOrSocket = Field(
        "127.0.0.1", description="Address to serve gRPC on, or the path of a Unix socket, which has no port."
    )
    grpc_port: Port = Field(8001, description="Port to serve gRPC on; 0 takes any free one.")
    reuse_grpc_port: bool = Field(
        False, description="Let other servers listen on the same port, if they allow it too; they share the clients."
    )
    grpc_max_message_size: int = Field(
        256 * 2**20, ge=1, le=2**31 - 1, title="BYTES", description="The largest message to accept."
    )
    grpc_max_metadata_size: MetadataSize = Field(
        16 * 2**10,
        description="The most that one call's headers may take: names, values, and 32 bytes for each of them.",
    )
    grpc_max_concurrent_streams: int = Field(
        1024, ge=1, le=2**31 - 1, description="Calls that may be open on one connection; others wait in the client."
    )
    grpc_use_ssl: bool = Field(False, description="Serve gRPC over TLS, with --grpc-server-cert and --grpc-server-key.")
    grpc_use_ssl_mutual: bool = Field(
        False,
        description="Serve gRPC over TLS, as --grpc-use-ssl does, and demand certificates of clients that "
        "--grpc-root-cert has signed.",
    )
    grpc_server_cert: File = Field(
        None,
        description="The server's certificate, in PEM, followed by those between it and the one that clients know. "
        "It may be replaced while the server runs, with its key.",
    )
    grpc_server_key: File = Field(None, description="The key of the server's certificate, in PEM, without passphrase.")
    grpc_root_cert: File = Field(
        None, description="With --grpc-use-ssl-mutual: the certificates, in PEM, that sign those of clients."
    )
    grpc_infer_response_compression_level: Compression = Field(
        "none", description="How much to compress what is sent to clients that can take it."
    )
    grpc_handshake_timeout: Milliseconds = Field(
        10_000, description="How long a new connection may take to say, in TLS and HTTP/2, what it wants."
    )
    grpc_keepalive_time: MillisecondsOrNever = Field(
        60_000, description="How long a connection may be silent before a ping; 0: there are none."
    )
    grpc_keepalive_timeout: Milliseconds = Field(
        20_000, description="How long a ping may stay unanswered before its connection is closed."
    )
    grpc_keepalive_permit_without_calls: bool = Field(
        False,
        description="Ping also while no call is open, and let clients do so. The native transport pings in any case.",
    )
    grpc_http2_max_pings_without_data: Count = Field(
        2,
        description="Pings that may be sent while there is nothing else to send; 0: any number. With "
        "--grpc-transport=native there is no limit: it pings only who is silent, once for each --grpc-keepalive-time.",
    )
    grpc_http2_min_recv_ping_interval_without_data: Milliseconds = Field(
        300_000, description="A client's ping that comes sooner after the one before is a bad one."
    )
    grpc_http2_max_ping_strikes: Count = Field(
        2, description="How many bad pings end a client's connection; 0: any number may come."
    )
    grpc_max_connection_idle: MillisecondsOrNever = Field(
        300_000, description="How long a connection may be without calls before it is closed; 0: for ever."
    )
    grpc_max_connection_age: MillisecondsOrNever = Field(
        3_600_000,
        description="How long a connection may last before its client is told to make another; 0 or -1: for ever.",
    )
    grpc_max_connection_age_grace: Milliseconds = Field(
        60_000, description="How long the calls of a connection that is too old may go on."
    )


class Http(Group):
    heading = "HTTP"

    allow_http: bool = Field(True, description="Serve HTTP: the server's health; inference is not served there yet.")
    http_address: Host = Field("127.0.0.1", description="Address to serve HTTP on.")
    http_port: Port = Field(8000, description="Port to serve HTTP on; 0 takes any free one.")
    reuse_http_port: bool = Field(False, description="Let other servers listen on the same port, as for gRPC.")


class Metrics(Group):
    heading = "Metrics"

    allow_metrics: bool = Field(True, description="Serve metrics for Prometheus.")
    metrics_address: Host = Field(
        default_factory=lambda given: given["http_address"],
        description="Address to serve metrics on. Default: that of HTTP.",
    )
    metrics_port: Port = Field(8002, description="Port to serve metrics on; 0 takes any free one.")
    metrics_interval_ms: Interval = Field(
        2000, description="How old the figures of processors, memory and GPUs may get; less than 1 is 1."
    )
    allow_cpu_metrics: bool = Field(True, description="Have metrics of processors and memory.")
    allow_gpu_metrics: bool = Field(True, description="Have metrics of GPUs, where there are any.")
    metrics_config: list[MetricsOption] = Field(
        default_factory=list, title="KEY=VALUE", description="An option of the metrics. May be repeated."
    )


class Logging(Group):
    heading = "Logging"

    log_level: Level = Field("info", description="The least level to log.")
    log_verbose: Verbosity = Field(0, description="1 and more: log at level debug, whatever --log-level says.")
    log_info: bool = Field(True, description="Log what has the level info.")
    log_warning: bool = Field(True, description="Log what has the level warning.")
    log_error: bool = Field(True, description="Log what has the level error.")
    log_format: LogFormat = Field(
        "text", description="Lines to read, or one JSON object on each. tritonserver's default and ISO8601 are text."
    )
    log_file: File = Field(
        None,
        description="Append the log to a file, instead of writing it to the standard error. It is kept open: rotate "
        "it by copying and truncating.",
    )
    access_log: bool = Field(False, description="Log one line for each request, to the standard output.")


class Limits(Group):
    heading = "Limits"

    max_queue_size: Count = Field(
        0,
        description="Requests that may wait for one version whose config does not say; "
        "0: 32 full batches for each instance, at least 1024.",
    )
    max_bytes_in_flight: int = Field(
        0,
        ge=0,
        title="BYTES",
        description="Bytes of requests that may be on their way; 0: a quarter of the memory there is.",
    )


class Server(Group):
    heading = "Server"

    config_file: Path | None = Field(
        None, title="FILE", description="A TOML file of settings; what the environment or a flag says wins over it."
    )
    id: ServerName = Field(SERVER_NAME, description="The name of the server in its metadata.")
    shutdown_delay_secs: Seconds = Field(
        0, description="How long to serve on after SIGTERM, for load balancers to notice."
    )
    exit_timeout_secs: Seconds = Field(
        30, description="How long stopping may take before the process just ends; less than 1 is 1."
    )


GROUPS: tuple[type[Group], ...] = (Repository, Grpc, Http, Metrics, Logging, Limits, Server)
