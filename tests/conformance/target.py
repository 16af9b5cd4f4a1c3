"""One server under test, whichever it is: its address and the clients that scenarios call it with."""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import grpc
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2
from tritonclient.grpc import service_pb2_grpc

SECONDS = 10.0
"""How long any call may take before a scenario counts it as hanging."""

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Target:
    """`stub` is raw gRPC with the client's generated messages, `client` the unmodified client."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.channel = grpc.insecure_channel(address, options=UNLIMITED)
        self.stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        self.client: Any = triton.InferenceServerClient(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.channel.close()

    def call(self, method: str, message: Any) -> Any:
        """Call a unary method of the inference service by name."""
        return getattr(self.stub, method)(message, timeout=SECONDS)

    def infer(self, message: Any) -> Any:
        return self.call("ModelInfer", message)

    def raw(self, path: str, message: bytes) -> bytes:
        """Call any unary method with bytes that need not be a message."""
        call: Any = self.channel.unary_unary(path)
        reply: bytes = call(message, timeout=SECONDS)
        return reply

    def stream(self, messages: Iterable[Any]) -> list[Any]:
        """Send all on one inference stream and return what came until it ended."""
        return list(self.stub.ModelStreamInfer(iter(messages), timeout=SECONDS))

    def health(self, service: str) -> str:
        check = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        status = check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS).status
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))

    def first_health(self, service: str) -> str:
        """Return the first status that a Watch tells."""
        watch = self.channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
        status = next(watch).status
        watch.cancel()
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))
