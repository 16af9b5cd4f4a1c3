"""Calls without a wire."""

from __future__ import annotations

from naiad.frontends.grpc.transport import Metadata


class FakeCall:
    """A `Call` whose every property a test may set."""

    def __init__(self, method: str, streaming: bool = True, metadata: Metadata = ()) -> None:
        self.method = method
        self.streaming = streaming
        self.deadline: float | None = None
        self.state: object = None
        self.metadata = metadata
        self.peer = "test"
        self.certificate: bytes | None = None
        self.writable = True

    def value(self, key: str) -> str | bytes | None:
        return next((value for name, value in self.metadata if name == key), None)

    def adopt(self) -> bool:
        return False

    def disown(self) -> None:
        raise AssertionError("nothing was adopted")
