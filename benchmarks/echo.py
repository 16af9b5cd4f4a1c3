"""A bare grpc.aio server for comparison: it answers ModelInfer with one canned message and looks at nothing.

What a load generator asks before it begins (metadata, config, statistics) is answered from constants. Usage:
`python benchmarks/echo.py`; prints the port and serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import grpc
from google.protobuf.message import Message

from naiad.protocol import grpc_service_pb2 as pb
from naiad.protocol import model_config_pb2 as mc

NAME = "echo"
WIDTH = 16
SERVICE = "inference.GRPCInferenceService"


def answers() -> dict[str, Message]:
    """Method name to its only answer."""
    shape = [-1, WIDTH]
    metadata = pb.ModelMetadataResponse(name=NAME, versions=["1"], platform="echo")
    metadata.inputs.add(name="INPUT0", datatype="FP32", shape=shape)
    metadata.outputs.add(name="OUTPUT0", datatype="FP32", shape=shape)
    config = mc.ModelConfig(name=NAME, backend="echo", max_batch_size=64)
    config.input.add(name="INPUT0", data_type=mc.TYPE_FP32, dims=[WIDTH])
    config.output.add(name="OUTPUT0", data_type=mc.TYPE_FP32, dims=[WIDTH])
    statistics = pb.ModelStatisticsResponse()
    statistics.model_stats.add(name=NAME, version="1")
    infer = pb.ModelInferResponse(model_name=NAME, model_version="1", raw_output_contents=[bytes(4 * WIDTH)])
    infer.outputs.add(name="OUTPUT0", datatype="FP32", shape=[1, WIDTH])
    return {
        "ServerLive": pb.ServerLiveResponse(live=True),
        "ServerReady": pb.ServerReadyResponse(ready=True),
        "ModelReady": pb.ModelReadyResponse(ready=True),
        "ServerMetadata": pb.ServerMetadataResponse(name="echo"),
        "ModelMetadata": metadata,
        "ModelConfig": pb.ModelConfigResponse(config=config),
        "ModelStatistics": statistics,
        "ModelInfer": infer,
    }


def handler(answer: bytes) -> Callable[[bytes, object], Awaitable[bytes]]:
    async def handle(_: bytes, __: object) -> bytes:
        return answer

    return handle


async def serve() -> None:
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(handler(message.SerializeToString()))
        for name, message in answers().items()
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"gRPC on 127.0.0.1:{port}", file=sys.stderr, flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(1)


if __name__ == "__main__":
    asyncio.run(serve())
