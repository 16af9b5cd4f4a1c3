"""An inference on its way: a future of the standard library, for `concurrent.futures.wait` and `as_completed`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import grpc

from naiad_client.errors import status_error
from naiad_client.protocol.generated.grpc_service_pb2 import ModelInferResponse
from naiad_client.results import Result


class InferFuture(Future[Result]):
    """`result()` gives the Result or raises the typed error; callbacks run on a thread of gRPC.

    `cancel()` takes the request back: it is told to the server, which does not run it if it has not begun. It gives
    False where the answer is here already.
    """

    def __init__(self, call: Any, convert: Callable[[ModelInferResponse], Result], where: str) -> None:
        """`call` is a grpc.Future that is a grpc.Call as well."""
        super().__init__()
        self._call = call
        self._convert = convert
        self._where = where
        call.add_done_callback(self._ended)

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled:
            self._call.cancel()
        return cancelled

    def _ended(self, call: Any) -> None:
        if not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(self._answer(call))
        except BaseException as error:  # noqa: BLE001 (whoever waits must learn of it)
            self.set_exception(error)

    def _answer(self, call: Any) -> Result:
        if call.code() is not grpc.StatusCode.OK:
            raise status_error(call, self._where)
        return self._convert(call.result())
