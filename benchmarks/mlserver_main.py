"""Starts MLServer as its own command does, in its own environment, and answers what perf_analyzer asks before it runs.

perf_analyzer asks every server for ModelConfig and ModelStatistics, which MLServer does not have: the answers are
files of these names in MLServer's directory. Nothing else of MLServer is changed.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

SERVICE, METHODS = "inference.GRPCInferenceService", ("ModelConfig", "ModelStatistics")

_plain_server = grpc.aio.server


def _handler(answer: bytes) -> Callable[[bytes, object], Awaitable[bytes]]:
    async def handle(_: bytes, __: object) -> bytes:
        return answer

    return handle


def _server(*arguments: Any, **options: Any) -> grpc.aio.Server:
    server = _plain_server(*arguments, **options)
    answers = {method: Path(sys.argv[-1], method).read_bytes() for method in METHODS}
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(_handler(answer)) for name, answer in answers.items()
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    return server


if __name__ == "__main__":
    grpc.aio.server = _server
    from mlserver.cli import main

    main()
