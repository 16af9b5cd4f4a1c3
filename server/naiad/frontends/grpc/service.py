"""Every RPC of the server on one transport: who handles which method, and the life of it all."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor

from naiad.core.engine import Engine
from naiad.frontends.grpc.dispatch import Dispatcher, OpenStream, Unary
from naiad.frontends.grpc.infer import ModelInfer
from naiad.frontends.grpc.inference import SERVICE, InferenceReads, no_stream_yet, not_yet
from naiad.frontends.grpc.transport import STOPPING, Transport


class GrpcService:
    """The gRPC services of one engine. `start`, `refuse` and `stop`, in this order and each once."""

    def __init__(self, engine: Engine, transport: Transport) -> None:
        self._transport = transport
        unary: dict[str, Unary] = {}
        streams: dict[str, OpenStream] = {}
        handlers: dict[str, Unary] = {
            **InferenceReads(engine).handlers,
            "ModelInfer": ModelInfer(engine, transport.send),
        }
        for method in SERVICE.methods:
            path = _path(SERVICE, method.name)
            if method.client_streaming or method.server_streaming:
                streams[path] = no_stream_yet(method.name)
            else:
                unary[path] = handlers.get(method.name) or not_yet(method.name)
        self._dispatcher = Dispatcher(transport.send, unary, streams)

    def start(self) -> int:
        """Listen; gives the port. OSError says why the address cannot be had."""
        return self._transport.start(self._dispatcher.methods, self._dispatcher.dispatch)

    def refuse(self) -> None:
        """Refuse new calls with UNAVAILABLE from now on; calls that are open are answered."""
        self._transport.refuse(STOPPING)

    def stop(self, grace: float) -> None:
        """End idle streams, wait at most `grace` seconds for what is open, cancel the rest, and close."""
        self._transport.stop(grace)


def _path(service: ServiceDescriptor, method: str) -> str:
    return f"/{service.full_name}/{method}"
