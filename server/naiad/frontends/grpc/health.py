"""`grpc.health.v1.Health`: whether the server, or one model by its name, answers requests.

Services: "" and `inference.GRPCInferenceService` are the server, every other name is a model's. Changes are told to
those who watch by a thread of its own: whoever changes something only sets a flag, and a reader too slow to take a
status in between gets the last one when it can.
"""

from __future__ import annotations

from threading import Event, Lock, Thread

from naiad.core.engine import Engine
from naiad.core.errors import NotFound
from naiad.frontends.grpc.dispatch import Send, answering, parse
from naiad.frontends.grpc.inference import SERVICE as INFERENCE
from naiad.frontends.grpc.transport import Buffer, Call, Reply
from naiad.protocol import health_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["Health"]
SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Both RPCs. `start` before the first call, `stop` after the last; both once."""

    def __init__(self, engine: Engine, send: Send) -> None:
        self._engine = engine
        self._send = send
        self._watches: set[_Watch] = set()
        self._telling = Lock()  # statuses go to a watch in the order in which they were asked for
        self._changed = Event()
        self._stopped = False
        self._thread = Thread(target=self._tell_changes, name="naiad-health", daemon=True)
        self.check = answering(pb.HealthCheckRequest, self._check)

    def start(self) -> None:
        self._unsubscribe = self._engine.subscribe(self._changed.set)
        self._thread.start()

    def stop(self) -> None:
        self._unsubscribe()
        self._stopped = True
        self._changed.set()
        self._thread.join()

    def watch(self, call: Call) -> _Watch:
        """Take a stream of the RPC Watch."""
        return _Watch(self, call)

    def tell_all(self) -> None:
        """Send every watch its present status where that is news. Any thread."""
        with self._telling:
            for watch in tuple(self._watches):
                self._tell(watch)

    def tell(self, watch: _Watch) -> None:
        """Send one watch its present status where that is news, from now on also whenever it changes."""
        with self._telling:
            self._watches.add(watch)
            self._tell(watch)

    def forget(self, watch: _Watch) -> None:
        with self._telling:
            self._watches.discard(watch)

    def _tell(self, watch: _Watch) -> None:
        status = self._status(watch.service)
        if status is None:
            status = SERVICE_UNKNOWN
        if status == watch.told or not watch.call.writable:
            return
        message = pb.HealthCheckResponse(status=status).SerializeToString()
        self._send([Reply(watch.call, (message,), credit=1 if watch.told is None else 0)])
        watch.told = status

    def _tell_changes(self) -> None:
        while not self._stopped:
            self._changed.wait()
            self._changed.clear()
            self.tell_all()

    def _check(self, request: pb.HealthCheckRequest) -> pb.HealthCheckResponse:
        status = self._status(request.service)
        if status is None:
            raise NotFound(f"unknown service '{request.service}': expected a model's name, nothing for the server")
        return pb.HealthCheckResponse(status=status)

    def _status(self, service: str) -> pb.HealthCheckResponse.ServingStatus.ValueType | None:
        """The status of a service, None for one that nobody knows."""
        if service in ("", INFERENCE.full_name):
            return SERVING if self._engine.ready() else NOT_SERVING
        if self._engine.model_ready(service, None):
            return SERVING
        known = any(entry.name == service for entry in self._engine.index(False))
        return NOT_SERVING if known else None


class _Watch:
    """One stream of Watch: a request, then statuses until the client goes."""

    def __init__(self, health: Health, call: Call) -> None:
        self.call = call
        self.service = ""
        self.told: pb.HealthCheckResponse.ServingStatus.ValueType | None = None
        self._health = health

    def message(self, message: Buffer) -> None:
        self.service = parse(pb.HealthCheckRequest, message).service
        self._health.tell(self)

    def half_close(self) -> None:
        pass

    def writable(self) -> None:
        self._health.tell(self)

    def cancel(self) -> None:
        self._health.forget(self)
