"""Alerts by the real thing: servers that really are in trouble, a real Prometheus that scrapes them, the shipped rules.

Only the time that a trouble must last before an alert fires is shorter. What takes an hour, or would harm the
machine, is fired on made-up series instead (alerts_test.yml); all alerts are.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import yaml

from tests.deploy.prometheus import RULES, Prometheus, require_prometheus, shipped
from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server

RUN_MS, PLACES = 1200, 20
FLOATS = 2250
WINDOW = 2**16
"""What a connection may send unasked, which counts where the transport knows."""
BYTES_IN_FLIGHT = (PLACES + 1) * (FLOATS * 4 + 200) + WINDOW
BUSY = f"dynamic_batching {{ default_queue_policy {{ max_queue_size: {PLACES} }} }}"
MOMENT = "2s"
"""Long enough that one scrape that is late on a busy machine is no trouble."""

ENOUGH = 100
"""Requests, so that their rate over 5 minutes is one to be alarmed about."""


class Scene(NamedTuple):
    """Three servers under one Prometheus. `troubled` has the models `busy`, which is slow, `broken` and `empty`."""

    prometheus: Prometheus
    healthy: Server
    troubled: Server
    stopping: Server

    def fired(self, alert: str, **labels: str) -> None:
        """Wait until the alert has fired with these labels."""
        selected = {"alertname": alert, "alertstate": "firing"} | labels
        matchers = ", ".join(f'{label}="{value}"' for label, value in selected.items())
        self.prometheus.wait_for(f"max_over_time(ALERTS{{{matchers}}}[5m])")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    require_prometheus()
    troubled = identity(tmp_path_factory.mktemp("troubled"), "busy", RUN_MS, more=BUSY, dims=-1)
    (identity(troubled, "broken") / "broken/config.pbtxt").write_text('backend: "identity" max_batch_size: -1\n')
    (identity(troubled, "empty") / "empty/1").rmdir()
    healthy = identity(tmp_path_factory.mktemp("healthy"), "echo")
    with ExitStack() as stack:
        servers = (
            stack.enter_context(Server(healthy)),
            stack.enter_context(Server(troubled, flags=[f"--max-bytes-in-flight={BYTES_IN_FLIGHT}"])),
            stack.enter_context(Server(healthy, flags=["--shutdown-delay-secs=3600"])),
        )
        directory = tmp_path_factory.mktemp("prometheus")
        config = shipped([server.metrics for server in servers], rules=sooner(directory))
        prometheus = stack.enter_context(Prometheus(directory, config))
        prometheus.wait_for("up == 1", lambda found: len(found) == len(servers))
        yield Scene(prometheus, *servers)


def sooner(directory: Path) -> tuple[Path, ...]:
    """Write the shipped rules with alerts that fire as soon as their condition has held for a moment."""
    written = []
    for path in RULES:
        content: dict[str, Any] = yaml.safe_load(path.read_text())
        for group in content["groups"]:
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = MOMENT
        written.append(directory / path.name)
        written[-1].write_text(yaml.safe_dump(content))
    return tuple(written)


@pytest.fixture(scope="module")
def flood(scene: Scene) -> Iterator[list[Any]]:
    """More requests than `busy` has places for, with much data; half of them cannot wait. They end by themselves."""
    message = ask("busy", 1, width=FLOATS)
    calls = [scene.troubled.stub.ModelInfer.future(message, timeout=PATIENCE) for _ in range(ENOUGH)]
    yield calls
    for call in calls:
        call.cancel()


def test_a_model_that_fails_to_load_is_told(scene: Scene) -> None:
    scene.fired("NaiadModelFailed", instance=scene.troubled.metrics, model="broken")
    scene.fired("NaiadModelNotServed", instance=scene.troubled.metrics, model="broken")


def test_a_model_without_any_version_is_told(scene: Scene) -> None:
    scene.fired("NaiadModelNotServed", instance=scene.troubled.metrics, model="empty")


def test_a_queue_that_is_nearly_full_is_told(scene: Scene, flood: list[Any]) -> None:
    assert not all(call.done() for call in flood)
    scene.fired("NaiadQueueNearlyFull", instance=scene.troubled.metrics, model="busy", version="1")


def test_bytes_in_flight_near_their_limit_are_told(scene: Scene, flood: list[Any]) -> None:
    assert len(flood) == ENOUGH
    scene.fired("NaiadBytesInFlightNearLimit", instance=scene.troubled.metrics)


def test_refusals_for_want_of_room_are_told_as_overload_and_as_errors(scene: Scene, flood: list[Any]) -> None:
    refused = [call for call in flood if call.done() and call.code() is grpc.StatusCode.UNAVAILABLE]
    assert len(refused) > ENOUGH / 2
    scene.fired("NaiadOverloaded")  # what is not even read is of no model
    scene.fired("NaiadErrors")


def test_requests_that_take_long_are_told(scene: Scene, flood: list[Any]) -> None:
    next(call for call in flood if not call.done()).result()
    scene.fired("NaiadLatencyHigh", model="busy")


def test_requests_that_run_out_of_time_are_told(scene: Scene) -> None:
    calls = [scene.troubled.stub.ModelInfer.future(ask("busy", 1), timeout=0.1) for _ in range(2)]
    assert grpc.StatusCode.DEADLINE_EXCEEDED in {call.code() for call in calls}
    scene.fired("NaiadTimeouts", model="busy")


def test_requests_for_models_that_are_not_there_are_told_without_their_names(scene: Scene) -> None:
    calls = [scene.healthy.stub.ModelInfer.future(ask(f"none{n}", 1), timeout=PATIENCE) for n in range(ENOUGH)]
    assert {call.code() for call in calls} == {grpc.StatusCode.NOT_FOUND}
    scene.fired("NaiadClientErrors", model="")


def test_a_server_that_stops_is_told_as_not_ready_and_then_as_down(scene: Scene) -> None:
    scene.stopping.signal(signal.SIGTERM)
    scene.fired("NaiadNotReady", instance=scene.stopping.metrics)
    scene.stopping.signal(signal.SIGTERM)
    scene.stopping.wait(1)
    scene.fired("NaiadDown", instance=scene.stopping.metrics)


def test_nothing_is_told_of_a_healthy_server(scene: Scene) -> None:
    scene.fired("NaiadModelFailed", instance=scene.troubled.metrics)
    selected = (
        f'max_over_time(ALERTS{{instance="{scene.healthy.metrics}"}}[5m]) or max_over_time(ALERTS{{model="echo"}}[5m])'
    )
    assert scene.prometheus.query(selected) == []
