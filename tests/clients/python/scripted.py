"""A V2 server that a test holds in its hand: it has one model, counts every attempt, and answers what it is told to.

The model `m` has one input `x` and returns it as `y`. Before that it does what the next of `script` says: a step may
raise by `context.abort`, wait for the test, or answer itself. What an attempt brought stands in `attempts`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import Message

from naiad_client.protocol import grpc_service_pb2 as pb

PATIENCE = 30.0
"""Seconds after which something that must happen counts as a hang."""
SERVICE = "inference.GRPCInferenceService"

Context = Any
Step = Callable[[pb.ModelInferRequest, Context], pb.ModelInferResponse | None]


class Attempt(NamedTuple):
    """One call as it arrived; `seconds` until its deadline, None where it has none."""

    request: pb.ModelInferRequest
    metadata: dict[str, str]
    seconds: float | None


class Hold:
    """A step that begins, and goes on when the test says so; it notices when the call is cancelled meanwhile."""

    def __init__(self) -> None:
        self.begun, self.released, self.cancelled = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, request: object, context: Context) -> None:
        context.add_callback(self._ended)
        self.begun.set()
        assert self.released.wait(PATIENCE)

    def _ended(self) -> None:
        if not self.released.is_set():
            self.cancelled.set()


class Scripted:
    """The server; `inputs` are (name, datatype) of the model, whose shapes are all [-1]."""

    def __init__(self) -> None:
        self.inputs = [("x", "FP32")]
        self.script: deque[Step] = deque()
        self.attempts: list[Attempt] = []
        self.metadata_requests: list[pb.ModelMetadataRequest] = []
        self.metadata_script: deque[Step] = deque()
        self.address = ""

    def metadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        self.metadata_requests.append(request)
        if self.metadata_script:
            self.metadata_script.popleft()(pb.ModelInferRequest(), context)
        response = pb.ModelMetadataResponse(name=request.name)
        for name, datatype in self.inputs:
            response.inputs.add(name=name, datatype=datatype, shape=[-1])
        return response

    def infer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        seconds = context.time_remaining()
        unlimited = seconds is None or seconds > 1e6
        self.attempts.append(Attempt(request, dict(context.invocation_metadata()), None if unlimited else seconds))
        step = self.script.popleft() if self.script else None
        return (step and step(request, context)) or echo(request)

    @contextmanager
    def serve(self, credentials: grpc.ServerCredentials | None = None) -> Iterator[None]:
        server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
        rpcs = {
            "ModelMetadata": _rpc(self.metadata, pb.ModelMetadataRequest),
            "ModelInfer": _rpc(self.infer, pb.ModelInferRequest),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, rpcs),))
        credentials = credentials or grpc.insecure_server_credentials()
        self.address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
        server.start()
        try:
            yield
        finally:
            server.stop(None).wait(PATIENCE)


def _rpc(method: Callable[..., Message], request: type[Message]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method, request.FromString, lambda response: response.SerializeToString()
    )


def echo(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    """What the model answers: each input under the name `y`, with its bytes."""
    response = pb.ModelInferResponse(model_name=request.model_name, model_version="1", id=request.id)
    for given, raw in zip(request.inputs, request.raw_input_contents, strict=True):
        response.outputs.add(name="y", datatype=given.datatype, shape=given.shape)
        response.raw_output_contents.append(raw)
    return response


def answers(response: pb.ModelInferResponse) -> Step:
    """A step that answers this."""
    return lambda _request, _context: response


def fails(code: grpc.StatusCode, text: str = "no", *trailers: tuple[str, str]) -> Step:
    """A step that ends the call with this status."""

    def step(_: object, context: Context) -> None:
        context.set_trailing_metadata(trailers)
        context.abort(code, text)

    return step
