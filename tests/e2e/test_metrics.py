"""`/metrics` of a real server: what is there from the start, and what known traffic makes of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest

from naiad.core.errors import FailureReason
from tests.conformance.messages import Given, fp32, request
from tests.core.scripted import eventually
from tests.e2e.models import ask, busy, ended, identity, send
from tests.e2e.server import PATIENCE, Server, command
from tests.models.build import failing
from tests.observability.families import NAIAD_OF_A_VERSION, OF_A_PROCESS, TRITON_OF_A_VERSION
from tests.observability.scrapes import Scrape, Series, read, series

RUN_MS = 500
OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE

TRITON_OF_THE_MACHINE = {
    "nv_pinned_memory_pool_total_bytes": "gauge",
    "nv_pinned_memory_pool_used_bytes": "gauge",
    "nv_cpu_utilization": "gauge",
    "nv_cpu_memory_total_bytes": "gauge",
    "nv_cpu_memory_used_bytes": "gauge",
}
"""What it tells without labels."""
OF_ITS_LIFE = {
    "naiad_model_state": "gauge",
    "naiad_model_load_duration_seconds": "gauge",
    "nv_model_load_duration_secs": "gauge",
}
"""What is told of each version, whether it serves or not."""
OTHERS = {
    "naiad_model_loads_total": "counter",
    "naiad_model_swaps_total": "counter",
    "naiad_model_rollbacks_total": "counter",
    "naiad_model_load_seconds": "histogram",
    "naiad_bytes_in_flight": "gauge",
    "naiad_bytes_in_flight_limit": "gauge",
    "naiad_server_ready": "gauge",
    "naiad_build_info": "gauge",
    "naiad_access_log_lines_lost_total": "counter",
    "naiad_cpu_limit_cores": "gauge",
}
NEVER_ZERO = re.compile(r"limit|naiad_model_state|load_duration|nv_model_load")


def scrape(server: Server) -> Scrape:
    with urllib.request.urlopen(f"http://{server.metrics}/metrics", timeout=PATIENCE) as response:
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return read(response.read().decode())


def failures(found: Scrape, **labels: str) -> dict[str, int]:
    """How many requests failed for each reason that there was, of one model and version or of none."""
    wanted = set(labels.items())
    return {
        dict(key)["reason"]: int(count)
        for key, count in found.values["naiad_request_failures_total"].items()
        if count and wanted <= set(key)
    }


def bare(key: Series) -> Series:
    """The labels that say whose series it is."""
    return tuple((name, value) for name, value in key if name in {"model", "version"})


def call(server: Server, message: Any, timeout: float = PATIENCE) -> Any:
    return server.stub.ModelInfer.future(message, timeout=timeout).code()


def raw(server: Server, message: bytes) -> grpc.StatusCode:
    method: Any = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    code: grpc.StatusCode = method.future(message, timeout=PATIENCE).code()
    return code


def two_versions(directory: Path) -> Path:
    """A repository of `echo` with versions 1 and 3, and of `single`."""
    identity(directory, "echo", more="version_policy { all { } }")
    (directory / "echo" / "3").mkdir()
    return identity(directory, "single")


def test_every_family_is_there_at_zero_for_every_version_from_the_first_scrape(tmp_path: Path) -> None:
    with Server(two_versions(tmp_path)) as server:
        found = scrape(server)
    assert (
        found.types
        == TRITON_OF_A_VERSION | TRITON_OF_THE_MACHINE | NAIAD_OF_A_VERSION | OF_ITS_LIFE | OTHERS | OF_A_PROCESS
    )
    versions = {
        series(model=model, version=version) for model, version in (("echo", "1"), ("echo", "3"), ("single", "1"))
    }
    for name in TRITON_OF_A_VERSION | NAIAD_OF_A_VERSION | OF_ITS_LIFE:
        samples = {
            key: value for sample, of in found.values.items() if sample.startswith(name) for key, value in of.items()
        }
        assert {bare(key) for key in samples} - {series(model="", version="")} == versions, name
        assert NEVER_ZERO.search(name) or not any(samples.values()), name


def test_the_labels_are_tritons(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo")) as server:
        found = scrape(server)
    for name in TRITON_OF_A_VERSION:
        assert {bare(key) for key in found.labels(name)} == {series(model="echo", version="1")}
        reasons = {dict(key).get("reason") for key in found.labels(name)}
        with_reasons = name == "nv_inference_request_failure"
        assert reasons == ({"REJECTED", "CANCELED", "BACKEND", "OTHER"} if with_reasons else {None})
    for name in TRITON_OF_THE_MACHINE:
        assert found.labels(name) == {()}


def test_what_succeeds_is_counted_exactly(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "slow", 20, max_batch_size=4)) as server:
        for rows in (1, 3, 1, 4):
            server.stub.ModelInfer(ask("slow", *range(rows)), timeout=PATIENCE)
        found, counted = scrape(server), server.statistics("slow")

    def value(name: str, **labels: str) -> float:
        return found.value(name, model="slow", version="1", **labels)

    assert value("nv_inference_request_success") == 4
    assert value("nv_inference_count") == 9
    assert value("nv_inference_exec_count") == 4
    stats = counted.inference_stats
    for name, duration in (
        ("request", stats.success),
        ("queue", stats.queue),
        ("compute_input", stats.compute_input),
        ("compute_infer", stats.compute_infer),
        ("compute_output", stats.compute_output),
    ):
        assert value(f"nv_inference_{name}_duration_us") == duration.ns // 1000
    assert value("naiad_request_duration_seconds_count") == value("naiad_queue_duration_seconds_count") == 4
    assert value("naiad_request_duration_seconds_sum") == pytest.approx(stats.success.ns / 1e9)
    assert value("naiad_queue_duration_seconds_sum") == pytest.approx(stats.queue.ns / 1e9)
    assert value("naiad_request_duration_seconds_bucket", le="0.01") == 0  # each ran for 20 ms
    assert value("naiad_compute_duration_seconds_count") == 4
    assert [value("naiad_batch_size_bucket", le=le) for le in ("1", "2", "4")] == [2, 2, 4]
    assert found.sum("nv_inference_request_failure") == found.sum("naiad_request_failures_total") == 0


def test_every_failure_before_the_queue_is_counted_with_its_reason(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo"), flags=["--grpc-max-message-size=65536"]) as server:
        for _ in range(3):
            assert call(server, ask("echo", 1, width=2)) is grpc.StatusCode.INVALID_ARGUMENT
        assert call(server, ask("nobody", 1)) is grpc.StatusCode.NOT_FOUND
        versioned = ask("echo", 1)
        versioned.model_version = "7"
        assert call(server, versioned) is grpc.StatusCode.NOT_FOUND
        for message in (b"\xff\xff\xff", b"\x0a\x7f"):
            assert raw(server, message) is grpc.StatusCode.INVALID_ARGUMENT
        large = request("echo", Given("INPUT0", "FP32", [1, 20000], fp32([0.5] * 20000)))
        assert call(server, large) is grpc.StatusCode.RESOURCE_EXHAUSTED
        found = scrape(server)
    assert failures(found, model="echo", version="1") == {"invalid_argument": 3}
    assert failures(found, model="", version="") == {"not_found": 2, "invalid_argument": 2, "too_large": 1}
    assert found.value("nv_inference_request_failure", model="echo", version="1", reason="OTHER") == 3
    assert found.sum("nv_inference_request_failure") == 3
    assert found.sum("nv_inference_request_success") == 0


def test_what_a_full_queue_refuses_is_overload(tmp_path: Path) -> None:
    policy = "dynamic_batching { default_queue_policy { max_queue_size: 2 } }"
    with Server(identity(tmp_path, "busy", RUN_MS, more=policy)) as server:
        codes = [each.code() for each in ended(send(server, "busy", *range(10)))]
        found = scrape(server)
    refused = codes.count(UNAVAILABLE)
    assert refused >= 7
    assert failures(found) == {"overloaded": refused}
    assert found.value("nv_inference_request_failure", model="busy", version="1", reason="REJECTED") == refused
    assert found.sum("nv_inference_request_success") == 10 - refused
    assert found.value("naiad_queue_limit", model="busy", version="1") == 2


def test_what_exceeds_the_budget_of_bytes_is_overload(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", RUN_MS, dims=-1), flags=["--max-bytes-in-flight=100000"]) as server:
        message = request("busy", Given("INPUT0", "FP32", [1, 15000], fp32([0.5] * 15000)))
        calls = [server.stub.ModelInfer.future(message, timeout=PATIENCE) for _ in range(2)]
        codes = {each.code() for each in ended(calls)}
        found = scrape(server)
    assert codes == {OK, UNAVAILABLE}
    assert failures(found) == {"overloaded": 1}
    # Connections may have a part of it, where the transport counts what they can send unasked.
    assert 50_000 <= found.value("naiad_bytes_in_flight_limit") <= 100_000
    assert found.value("naiad_bytes_in_flight") == 0


def test_time_that_is_over_is_a_timeout_whoever_set_it(tmp_path: Path) -> None:
    policy = "dynamic_batching { default_queue_policy { default_timeout_microseconds: 50000 } }"
    identity(tmp_path, "queue", RUN_MS, more=policy)
    with Server(identity(tmp_path, "client", RUN_MS)) as server:
        *late, first = ended(send(server, "queue", 1, 2, 3))
        assert [each.code() for each in (*late, first)] == [UNAVAILABLE, UNAVAILABLE, OK]
        waiting = busy(server, "client", 1, 2)
        too_late = [server.stub.ModelInfer.future(ask("client", 3), timeout=0.1) for _ in range(5)]
        assert {each.code() for each in too_late} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert [each.code() for each in waiting] == [OK]
        found = scrape(server)
    assert failures(found, model="queue", version="1") == {"timeout": 2}
    assert failures(found, model="client", version="1") == {"timeout": 5}
    assert found.value("nv_inference_request_failure", model="client", version="1", reason="REJECTED") == 5


def test_what_is_taken_back_is_cancelled_and_what_waits_is_told(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", 2 * RUN_MS)) as server:
        running, *waiting = busy(server, "busy", 1, 2, 3, 4)
        found = scrape(server)
        for name in ("nv_inference_pending_request_count", "naiad_queue_size"):
            assert found.value(name, model="busy", version="1") == 2
        assert found.value("naiad_bytes_in_flight") > 0
        for each in waiting:
            each.cancel()
        eventually(lambda: failures(scrape(server)) == {"cancelled": 2})
        assert running.code() is OK
        found = scrape(server)
    assert found.value("naiad_queue_size", model="busy", version="1") == 0
    assert found.value("nv_inference_request_failure", model="busy", version="1", reason="CANCELED") == 2
    assert found.value("nv_inference_request_success", model="busy", version="1") == 2


def test_a_failing_run_is_the_backends(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    failing(tmp_path / "squares" / "1" / "model.onnx")
    with Server(tmp_path) as server:
        number = request("squares", Given("INPUT0", "INT64", [1, 1], (99).to_bytes(8, "little")))
        assert call(server, number) is grpc.StatusCode.INTERNAL
        found = scrape(server)
    assert failures(found) == {"backend": 1}
    assert found.value("nv_inference_request_failure", model="squares", version="1", reason="BACKEND") == 1


def test_no_client_can_make_series(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo")) as server:
        before = scrape(server)
        calls = [server.stub.ModelInfer.future(ask(f"made-up-{i}", 1), timeout=PATIENCE) for i in range(1000)]
        assert {each.code() for each in calls} == {grpc.StatusCode.NOT_FOUND}
        after = scrape(server)
    assert after.size == before.size
    assert failures(after) == {"not_found": 1000}


def test_what_could_not_be_loaded_is_told_beside_what_is_served(tmp_path: Path) -> None:
    identity(tmp_path, "echo")
    identity(tmp_path, "broken")
    (tmp_path / "broken" / "config.pbtxt").write_text("max_batch_size: many")
    (tmp_path / "garbled" / "1").mkdir(parents=True)
    (tmp_path / "garbled" / "1" / "model.onnx").write_bytes(b"no model")
    with Server(tmp_path) as server:
        found = scrape(server)
    states = {key for key, value in found.values["naiad_model_state"].items() if value}
    assert states == {
        series(model="echo", version="1", state="ready"),
        series(model="broken", version="", state="failed"),
        series(model="garbled", version="1", state="failed"),
    }
    loads = {key: value for key, value in found.values["naiad_model_loads_total"].items() if value}
    assert loads == {
        series(model="echo", outcome="success"): 1,
        series(model="broken", outcome="failure"): 1,
        series(model="garbled", outcome="failure"): 1,
    }
    assert found.value("naiad_model_load_duration_seconds", model="echo", version="1") > 0
    assert found.labels("nv_inference_count") == {series(model="echo", version="1")}
    assert found.value("naiad_server_ready") == 1


def test_metrics_are_served_while_models_load(tmp_path: Path) -> None:
    for i in range(200):
        identity(tmp_path, f"model_{i}")
    with Server(tmp_path, until_ready=False) as server:
        found = scrape(server)
        while not found.value("naiad_server_ready"):
            found = scrape(server)
    assert len(found.labels("nv_inference_count")) == 200


def test_metrics_are_served_while_the_server_stops(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "slow", 2 * RUN_MS)) as server:
        waiting = busy(server, "slow", 1, 2, 3)
        server.signal(signal.SIGTERM)
        server.line(re.compile("stopping"))

        def draining() -> bool:
            found = scrape(server)
            return found.value("naiad_model_state", model="slow", version="1", state="draining") == 1

        eventually(draining)
        assert scrape(server).value("naiad_server_ready") == 0
        assert [each.code() for each in waiting] == [OK, OK]
        server.wait(0)
    with pytest.raises(urllib.error.URLError):
        scrape(server)


def test_metrics_can_be_left_out(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo"), flags=["--allow-metrics=false"]) as server:
        assert call(server, ask("echo", 1)) is OK
    assert "metrics on" not in server.log


def test_figures_of_the_machine_can_be_left_out(tmp_path: Path) -> None:
    flags = ["--allow-cpu-metrics=false", "--allow-gpu-metrics=false"]
    with Server(identity(tmp_path, "echo"), flags=flags) as server:
        found = scrape(server)
    assert not [name for name in found.types if name.startswith(("nv_cpu_", "nv_gpu_"))]


def test_the_use_of_the_machine_is_read_again_after_the_interval(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo"), flags=["--metrics-interval-ms=1"]) as server:
        scrapes = iter(lambda: scrape(server), None)
        found = next(each for each in scrapes if each.value("nv_cpu_utilization") > 0)
    assert 0 < found.value("nv_cpu_memory_used_bytes") < found.value("nv_cpu_memory_total_bytes")
    assert 0 < found.value("nv_cpu_utilization") <= 1
    assert 0 < found.value("naiad_cpu_limit_cores") <= len(os.sched_getaffinity(0))


def test_tritons_options_are_honoured_or_named(tmp_path: Path) -> None:
    options = ("histogram_latencies=true", "summary_latencies=true", "counter_latencies=false")
    flags = [part for option in options for part in ("--metrics-config", option)]
    with Server(identity(tmp_path, "echo"), flags=flags) as server:
        assert call(server, ask("echo", 1)) is OK
        found = scrape(server)
    name = "nv_inference_first_response_histogram_ms"
    assert found.types[name] == "histogram"
    bounds = ("100", "500", "2000", "5000", "+Inf")
    assert [found.value(f"{name}_bucket", model="echo", version="1", le=le) for le in bounds] == [1] * 5
    assert "histogram_latencies" not in server.log
    for option in options[1:]:
        assert f"--metrics-config {option} is ignored" in server.log


def test_a_port_in_use_is_told_by_the_flags_that_choose_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = ["--grpc-port=0", "--http-port=0", f"--metrics-port={port}"]
        serve = command("serve", f"--model-repository={identity(tmp_path, 'echo')}", *ports)
        done = subprocess.run(serve, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "--metrics-port" in done.stderr
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_the_reasons_are_all_there_from_the_start(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo")) as server:
        found = scrape(server)
    for model, version in (("", ""), ("echo", "1")):
        for reason in FailureReason:
            labels = {"model": model, "version": version, "reason": reason.value}
            assert found.value("naiad_request_failures_total", **labels) == 0
