"""Health checking: what is asked, and what is told to those who watch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2 as foreign
from grpc_health.v1 import health_pb2_grpc

from naiad.core.engine import IndexEntry
from naiad.frontends.grpc.health import NOT_SERVING, SERVICE, SERVICE_UNKNOWN, SERVING, Health
from naiad.frontends.grpc.transport import Kind, Reply
from naiad.protocol import health_pb2 as pb
from tests.core.house import House
from tests.core.scripted import Scripted, config, eventually
from tests.frontends.grpc.fakes import FakeCall
from tests.frontends.grpc.served import WIRED, Served, error, stub
from tests.frontends.grpc.wires import PATIENCE

INFERENCE = "inference.GRPCInferenceService"


@pytest.fixture(params=sorted(WIRED))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(request.param) as served:
        yield served


def ask(service: str) -> pb.HealthCheckRequest:
    return pb.HealthCheckRequest(service=service)


def check(served: Served, service: str) -> int:
    status: int = stub(served.channel, SERVICE, "Check")(ask(service), timeout=PATIENCE).status
    return status


class Watch:
    """A client that watches a service."""

    def __init__(self, served: Served, service: str) -> None:
        self.call: Any = stub(served.channel, SERVICE, "Watch")(ask(service))

    def next(self) -> int:
        status: int = next(self.call).status
        return status


@pytest.mark.parametrize("service", ["", INFERENCE, "m"])
def test_what_serves_is_told_so(served: Served, service: str) -> None:
    assert check(served, service) == SERVING


@pytest.mark.parametrize("service", ["", INFERENCE])
def test_the_server_serves_after_the_first_pass_of_loading_until_it_goes_away(served: Served, service: str) -> None:
    served.house.engine.publish({}, ready=False)
    assert check(served, service) == NOT_SERVING
    served.house.publish()
    assert check(served, service) == SERVING
    served.house.engine.retire()
    assert check(served, service) == NOT_SERVING


def test_a_model_that_is_known_but_not_ready_does_not_serve(served: Served) -> None:
    served.repository.entries = (IndexEntry("broken", "1", "UNAVAILABLE", "no file"),)
    assert check(served, "broken") == NOT_SERVING


def test_a_service_that_nobody_knows_is_not_found(served: Served) -> None:
    code, text = error(stub(served.channel, SERVICE, "Check"), ask("nobody"))
    assert code is grpc.StatusCode.NOT_FOUND
    assert text.startswith("unknown service 'nobody'")


def test_grpcs_own_client_understands_us(served: Served) -> None:
    answer = health_pb2_grpc.HealthStub(served.channel).Check(foreign.HealthCheckRequest(service="m"))
    assert answer.status == foreign.HealthCheckResponse.SERVING


def test_watching_tells_the_status_at_once_and_every_change(served: Served) -> None:
    watch = Watch(served, "")
    assert watch.next() == SERVING
    served.house.engine.publish({}, ready=False)
    assert watch.next() == NOT_SERVING
    served.house.publish()
    assert watch.next() == SERVING
    watch.call.cancel()


def test_watching_what_nobody_knows_waits_for_it_to_come(served: Served) -> None:
    watch = Watch(served, "late")
    assert watch.next() == SERVICE_UNKNOWN
    served.repository.entries = (IndexEntry("late", "1", "LOADING", ""),)
    served.house.publish()
    assert watch.next() == NOT_SERVING
    served.house.serve(config("late"), [Scripted()])
    assert watch.next() == SERVING
    watch.call.cancel()


def test_those_who_watch_are_told_the_end_before_their_stream_ends(served: Served) -> None:
    watch = Watch(served, "")
    assert watch.next() == SERVING
    served.house.engine.retire()
    served.service.stop(PATIENCE)
    assert watch.next() == NOT_SERVING
    with pytest.raises(grpc.RpcError):
        watch.next()
    assert watch.call.code() is grpc.StatusCode.UNAVAILABLE


def test_many_watch_and_one_that_leaves_disturbs_nobody(served: Served) -> None:
    watches = [Watch(served, "m") for _ in range(20)]
    assert [watch.next() for watch in watches] == [SERVING] * 20
    for watch in watches[::2]:
        watch.call.cancel()
    served.house.engine.publish({}, ready=True)
    assert [watch.next() for watch in watches[1::2]] == [SERVICE_UNKNOWN] * 10


def test_a_request_that_is_no_message_ends_the_watch(served: Served) -> None:
    watch: Any = served.channel.unary_stream(f"/{SERVICE.full_name}/Watch")
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(b"\xff"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


# What the wire does not show.


class Told:
    """Collects what is sent."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []

    def send(self, replies: Any) -> None:
        self.replies += replies

    @property
    def statuses(self) -> list[int]:
        return [pb.HealthCheckResponse.FromString(b"".join(r.parts or ())).status for r in self.replies]


def test_a_slow_reader_is_told_the_last_status_and_not_each_in_between() -> None:
    told = Told()
    with House() as house:
        health = Health(house.engine, told.send)
        call = FakeCall("Watch")
        watch = health.watch(call)
        watch.message(ask("").SerializeToString())
        assert told.statuses == [NOT_SERVING]
        call.writable = False
        for ready in (True, False, True):
            house.engine.publish({}, ready=ready)
            health.tell_all()
        assert told.statuses == [NOT_SERVING]
        call.writable = True
        watch.writable()
        assert told.statuses == [NOT_SERVING, SERVING]


def test_a_watch_settles_its_request_once_and_is_told_news_only() -> None:
    told = Told()
    with House() as house:
        health = Health(house.engine, told.send)
        watch = health.watch(FakeCall("Watch"))
        watch.message(ask("").SerializeToString())
        health.tell_all()
        watch.half_close()
        house.engine.publish({}, ready=True)
        health.tell_all()
        assert told.statuses == [NOT_SERVING, SERVING]
        assert [reply.credit for reply in told.replies] == [1, 0]
        watch.cancel()
        house.engine.publish({}, ready=False)
        health.tell_all()
        assert told.statuses == [NOT_SERVING, SERVING]


def test_changes_are_told_by_a_thread_that_ends_with_stop() -> None:
    told = Told()
    with House() as house:
        health = Health(house.engine, told.send)
        health.start()
        health.watch(FakeCall("Watch")).message(ask("").SerializeToString())
        house.engine.publish({}, ready=True)
        eventually(lambda: told.statuses == [NOT_SERVING, SERVING])
        health.stop()
        assert not health._thread.is_alive()
        house.engine.publish({}, ready=False)
        assert told.statuses == [NOT_SERVING, SERVING]


def test_kinds_of_events_are_all_there_are() -> None:
    told = {"MESSAGE", "CANCEL", "OPEN", "HALF_CLOSE", "WRITABLE", "TOO_LARGE", "OVERLOADED"}
    assert {kind.name for kind in Kind} == told
