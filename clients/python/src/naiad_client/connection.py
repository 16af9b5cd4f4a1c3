"""How a server is reached, what gRPC is told about it, and what holds for every call. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

import grpc

from naiad_client.deadlines import Deadline
from naiad_client.retries import Retries

LARGEST_MESSAGE: Final = 2**31 - 1
"""Bytes; what the protocol allows, where gRPC's own default is 4 MiB."""

_WITH_PORT: Final = re.compile(r"(?!\w+://).*:\d+")
_OF_GRPC: Final = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):.+")

ChannelOptions = list[tuple[str, int | str]]


class ClientOptions(TypedDict, total=False):
    """What a client can be told besides the address; every one may be left out.

    timeout: seconds that a call may take, retries included, where it does not say itself; 60 where it is left out,
        math.inf for no limit.
    retries: when a call is sent again; None for never.
    credentials: for TLS, as `grpc.ssl_channel_credentials` makes them; without them the connection is plain.
    headers: metadata of gRPC for every call; names in lower case.
    max_message_size: bytes of the largest request and response.
    """

    timeout: float
    retries: Retries | None
    credentials: grpc.ChannelCredentials | None
    headers: Mapping[str, str]
    max_message_size: int


@dataclass(frozen=True, slots=True)
class Connection:
    """ClientOptions with their defaults. ValueError for an address that is neither HOST:PORT nor a URI of gRPC."""

    address: str
    timeout: float = 60.0
    retries: Retries | None = field(default_factory=Retries)
    credentials: grpc.ChannelCredentials | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_message_size: int = LARGEST_MESSAGE

    def __post_init__(self) -> None:
        if not (_WITH_PORT.fullmatch(self.address) or _OF_GRPC.fullmatch(self.address)):
            raise ValueError(f"address: expected HOST:PORT of the server's gRPC, got {self.address!r}")

    def deadline(self, timeout: float | None) -> Deadline:
        return Deadline.after(self.timeout if timeout is None else timeout)

    def metadata(self, headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
        return tuple({**self.headers, **(headers or {})}.items())

    def where(self, what: str) -> str:
        """How errors name a call."""
        return f"{what} at {self.address}"

    def options(self, *, once: bool) -> ChannelOptions:
        """What a channel is told. With `once`, a call reaches the server once at most.

        gRPC then repeats nothing, not even what it otherwise sends again without any policy.
        """
        size = self.max_message_size
        sizes: ChannelOptions = [("grpc.max_send_message_length", size), ("grpc.max_receive_message_length", size)]
        if once or self.retries is None:
            return [*sizes, ("grpc.enable_retries", 0)]
        return [
            *sizes,
            ("grpc.service_config", self.retries.service_config()),
            ("grpc.per_rpc_retry_buffer_size", size),  # its default of 256 KiB would leave out larger requests
        ]
