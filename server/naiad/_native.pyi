"""HTTP/2, gRPC's framing and TLS in Rust; built from server/native where there is a Rust toolchain.

`naiad.frontends.grpc.native` makes a transport of it and has the contract; here are the types. Sizes are in bytes,
times in seconds.
"""

from collections.abc import Sequence

from naiad.frontends.grpc.transport import Call, Kind, Metadata, Method, Reply, Trailers

class Budget:
    """Bytes in flight, counted by the wire itself (`core.budget.Counter`)."""

    def __init__(self, limit: int) -> None: ...
    @property
    def limit(self) -> int: ...
    @property
    def used(self) -> int: ...
    def take(self, nbytes: int) -> bool:
        """Count `nbytes`, unless they are more than is left; what is larger than the whole budget may pass alone."""

    def give_back(self, nbytes: int) -> None: ...

class Server:
    """A gRPC server without a thread: it moves while somebody is in `poll`."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        ok: Trailers,
        budget: Budget,
        *,
        max_message_size: int,
        max_metadata_size: int,
        max_concurrent_streams: int,
        handshake_timeout: float,
        keepalive_time: float,
        keepalive_timeout: float,
        keepalive_without_calls: bool,
        max_connection_idle: float,
        max_connection_age: float,
        max_connection_age_grace: float,
        least_ping_interval: float,
        max_ping_strikes: int,
        compression: int,
    ) -> None:
        """kinds: what stands for each kind in events, by its number. ok: the trailers that most replies have."""

    def serve(self, methods: Sequence[Method]) -> None:
        """Set the methods. Once, before anything listens."""

    def use_certificate(self, certificate: bytes, key: bytes, client_authority: bytes | None) -> None:
        """Use TLS for all connections from now on. PEM; ValueError says which of them is wrong, and why."""

    def listen(self, address: str, port: int, reuse_port: bool) -> int:
        """Listen on an IP address; gives the port. OSError with the system's number."""

    def listen_unix(self, path: str) -> None: ...
    def poll(self, timeout: float | None) -> list[tuple[Kind, Call, bytes | memoryview]]:
        """Move the wire until there are events, a kick, or the timeout is over (None: never). One thread at a time."""

    def send(self, replies: Sequence[Reply]) -> None:
        """Queue replies. Any thread; never blocks."""

    def kick(self) -> None:
        """End the present or the next `poll`. Any thread."""

    def refuse(self, code: int, message: str, metadata: Metadata, /) -> None:
        """From now on end every new call like this."""

    def refuse_unless_refused(self, code: int, message: str, metadata: Metadata, /) -> None:
        """The same, unless they end in another way already."""

    def end_idle_streams(self, code: int, message: str, metadata: Metadata, /) -> None:
        """End each stream as soon as all its messages are settled, also in future."""

    def wait_until_answered(self, timeout: float) -> bool:
        """Wait for the end of all calls, while somebody else polls."""

    def close(self, timeout: float) -> None:
        """Stop listening, say good-bye on every connection, and cut after `timeout` what is still open.

        While somebody else polls; returns when all events have been told.
        """

    def complaint(self) -> str | None:
        """What an operator should know, once; asked for after a `poll` without events."""

    def counters(self) -> dict[str, int]:
        """What has been counted: calls, cancelled (of those that were told), replies_written (to sockets), and more.

        Since the start: connections, calls, cancelled, replies_written, resets_received, resets_sent. Now:
        open_connections, open_calls.
        """
