"""`naiad.v1.Admin`: how the server and its models stand, for whoever runs them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from naiad import __version__
from naiad.core.engine import Engine
from naiad.core.history import Coming, ModelHistory, Standing
from naiad.core.lifecycle import WIRE_STATES
from naiad.core.version import Version
from naiad.frontends.grpc.dispatch import Unary, answering
from naiad.protocol import admin_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["Admin"]


class Admin:
    """The handlers, by the RPC's name. name: what the server calls itself. mode: how models come and go."""

    def __init__(self, engine: Engine, name: str, mode: str) -> None:
        self._engine = engine
        self._name = name
        self._mode = mode
        self._started = time.monotonic()
        self.handlers: dict[str, Unary] = {"Status": answering(pb.StatusRequest, self._status)}

    def _status(self, request: pb.StatusRequest) -> pb.StatusResponse:
        asked = frozenset(request.models)
        serving = self._engine.serving()
        return pb.StatusResponse(
            server=pb.ServerStatus(
                name=self._name,
                version=__version__,
                uptime_seconds=time.monotonic() - self._started,
                ready=self._engine.ready(),
                control_mode=self._mode,
            ),
            models=[
                _model(history, serving.get(history.name, {}))
                for history in self._engine.histories()
                if not asked or history.name in asked
            ],
        )


def _model(of: ModelHistory, serving: Mapping[int, Version]) -> pb.ModelStatus:
    return pb.ModelStatus(
        name=of.name,
        problem=of.problem,
        loads=of.loads,
        load_failures=of.load_failures,
        swaps=of.swaps,
        rollbacks=of.rollbacks,
        versions=[_version(number, standing, serving.get(number)) for number, standing in sorted(of.versions.items())],
    )


def _version(number: int, of: Standing, serving: Version | None) -> pb.VersionStatus:
    status = pb.VersionStatus(
        version=number,
        state=of.phase.value,
        index_state=WIRE_STATES[of.phase],
        reason=of.reason,
        since=_ms(of.since),
        load_seconds=of.load_seconds or 0,
        retry_at=_ms(of.retry_at or 0),
        identity=of.identity,
        coming=None if of.coming is None else _coming(of.coming),
    )
    if serving is not None:
        queued = serving.queued
        status.queued = queued
        status.in_flight = max(0, serving.leases - queued)
        status.queue_limit = serving.queue_limit
        status.instances.extend(_instances(serving))
    return status


def _instances(of: Version) -> Iterator[pb.InstanceStatus]:
    for instance in of.instances:
        yield pb.InstanceStatus(name=instance.name, device=str(instance.device))


def _coming(of: Coming) -> pb.ComingStatus:
    return pb.ComingStatus(
        state=of.phase.value,
        reason=of.reason,
        since=_ms(of.since),
        retry_at=_ms(of.retry_at or 0),
        identity=of.identity,
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
