"""Every RPC of the server on one transport: who handles which method, and the life of it all."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor

from naiad.core.engine import Engine
from naiad.core.errors import NaiadError
from naiad.frontends.grpc import admin, health, inference, reflection
from naiad.frontends.grpc.dispatch import Dispatcher, OpenStream, Unary
from naiad.frontends.grpc.infer import ModelInfer
from naiad.frontends.grpc.reflection import Reflection, ReflectionStream
from naiad.frontends.grpc.repository_control import RepositoryControl
from naiad.frontends.grpc.transport import STOPPING, Call, Transport

SERVICES = (inference.SERVICE, admin.SERVICE, health.SERVICE, *reflection.SERVICES)


class GrpcService:
    """The gRPC services of one engine: `start`, perhaps `refuse`, and `stop`, each once.

    name: what the server calls itself. mode: how models come and go.
    """

    def __init__(
        self, engine: Engine, transport: Transport, name: str = inference.SERVER_NAME, mode: str = "none"
    ) -> None:
        self._transport = transport
        self._health = health.Health(engine, transport.send)
        self._reflection = Reflection(service.full_name for service in SERVICES)
        self._infer = ModelInfer(engine, transport.send)
        self._dispatcher = Dispatcher(transport.send, self._unary(engine, name, mode), self._streams(), self._failed)

    def start(self) -> int:
        """Listen; gives the port. OSError: why the address cannot be had. ValueError: what is wrong with a TLS file."""
        self._health.start()
        try:
            return self._transport.start(self._dispatcher.methods, self._dispatcher.dispatch)
        except (OSError, ValueError):
            self._health.stop()
            raise

    def refuse(self) -> None:
        """Refuse new calls with UNAVAILABLE from now on; calls that are open are answered."""
        self._transport.refuse(STOPPING)

    def stop(self, grace: float) -> None:
        """Tell watches the last status, end idle streams, wait `grace` seconds at most for the rest, and close."""
        self._health.tell_all()
        self._transport.stop(grace)
        self._health.stop()

    def _unary(self, engine: Engine, name: str, mode: str) -> dict[str, Unary]:
        handlers: dict[str, Unary] = {
            **(reads := inference.InferenceReads(engine, name).handlers),
            **RepositoryControl(engine, self._transport.send, reads["RepositoryIndex"]).handlers,
            "ModelInfer": self._infer,
        }
        unary = {
            _path(inference.SERVICE, method.name): handlers.get(method.name) or inference.not_yet(method.name)
            for method in inference.SERVICE.methods
            if not (method.client_streaming or method.server_streaming)
        }
        admins = admin.Admin(engine, name, mode).handlers
        unary |= {_path(admin.SERVICE, method): handler for method, handler in admins.items()}
        return {**unary, _path(health.SERVICE, "Check"): self._health.check}

    def _streams(self) -> dict[str, OpenStream]:
        streams: dict[str, OpenStream] = {
            _path(inference.SERVICE, method.name): inference.no_stream_yet(method.name)
            for method in inference.SERVICE.methods
            if method.client_streaming or method.server_streaming
        }
        streams[_path(health.SERVICE, "Watch")] = self._health.watch
        for service in reflection.SERVICES:
            streams[_path(service, "ServerReflectionInfo")] = self._reflect
        return streams

    def _failed(self, call: Call, error: NaiadError) -> None:
        if call.method in _INFERENCES:
            self._infer.failed(call, error)

    def _reflect(self, call: Call) -> ReflectionStream:
        return ReflectionStream(self._reflection, call, self._transport.send)


def _path(service: ServiceDescriptor, method: str) -> str:
    return f"/{service.full_name}/{method}"


_INFERENCES = frozenset({_path(inference.SERVICE, "ModelInfer"), _path(inference.SERVICE, "ModelStreamInfer")})
"""Calls whose failures count as failed requests."""
