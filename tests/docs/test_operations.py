"""docs/operations.md tells the numbers that the code has, and its manifest asks questions that a server answers."""

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from naiad.core.errors import FailureReason
from naiad.core.observer import Answer
from naiad.frontends.http.limits import DEFAULT as HTTP
from naiad.observability.access import LINES
from naiad.repository.loading import BATCHES_QUEUED, LEAST_QUEUE
from naiad.repository.pbtxt import MAX_BYTES
from naiad.repository.walking import MAX_DEPTH, MAX_FILES
from naiad.settings import Settings
from tests.docs.pages import DOCS, PAGES, of_language
from tests.e2e.server import PATIENCE, SERVING, Server

PAGE = DOCS / "operations.md"
FLAG = re.compile(r"`--([\w-]+)`")
REASON = re.compile(r"reason (?:is )?`(\w+)`")
UNITS = {"s": 1.0, "KiB": float(2**10), "MiB": float(2**20), "": 1.0}
QUANTITY = re.compile(r"(\d+)(?: (s|KiB|MiB))?")
CONSTANTS: dict[str, float] = {
    "HTTP connections": HTTP.connections,
    "time for one HTTP exchange": HTTP.exchange_secs,
    "size of a config.pbtxt": MAX_BYTES,
    "files in a version": MAX_FILES,
}
IN_MILLISECONDS = re.compile(r"--grpc-(keepalive|handshake|max-connection)")


def limits() -> list[list[str]]:
    """The cells of the table of limits: limit, default, what happens."""
    table = PAGE.read_text().partition("| limit | default |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def quantity(text: str) -> float:
    found = QUANTITY.match(text)
    assert found is not None, text
    return float(found[1]) * UNITS[found[2] or ""]


def default(flag: str) -> float:
    value: float = Settings.model_fields[flag.replace("-", "_")].default
    return value / 1000 if IN_MILLISECONDS.match(f"--{flag}") else value


def manifest() -> Any:
    (block,) = of_language(PAGE, "yaml")
    return yaml.safe_load(block.text)


def container() -> Any:
    (only,) = manifest()["spec"]["template"]["spec"]["containers"]
    return only


def ask(server: Server, probe: dict[str, Any]) -> bool:
    """Ask what a kubelet would, and return whether it would be content."""
    if "grpc" in probe:
        assert probe["grpc"]["port"] == 8001
        request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
        with grpc.insecure_channel(server.grpc) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE)
        return bool(answer.status == SERVING)
    assert probe["httpGet"]["port"] == 8000
    connection = http.client.HTTPConnection(server.http, timeout=PATIENCE)
    connection.request("GET", probe["httpGet"]["path"])
    status = connection.getresponse().status
    connection.close()
    return 200 <= status < 400


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_every_probe_of_the_manifest_is_answered(served: Server, probe: str) -> None:
    assert ask(served, container()[probe])


def test_a_probe_of_something_else_is_not_content(served: Server) -> None:
    assert not ask(served, {"httpGet": {"path": "/v2/health/nothing", "port": 8000}})


def test_kubernetes_waits_longer_than_the_server_may_take_to_stop() -> None:
    environment = {each["name"]: float(each["value"]) for each in container()["env"]}
    patience = manifest()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert patience > environment["NAIAD_SHUTDOWN_DELAY_SECS"] + environment["NAIAD_EXIT_TIMEOUT_SECS"]


def with_flags() -> Iterator[tuple[str, float]]:
    """Each flag of the table of limits with the default that stands there; also those in the last column."""
    for limit, told, beyond in limits():
        if QUANTITY.fullmatch(told) and (flag := FLAG.search(limit)):
            yield flag[1], quantity(told)
        for flag, seconds in re.findall(r"`--([\w-]+)`, (\d+ s)", beyond):
            yield flag, quantity(seconds)


def test_every_default_of_a_flag_is_the_code_s() -> None:
    told = dict(with_flags())
    assert len(told) == 11
    assert {flag: default(flag) for flag in told} == told


def test_every_limit_without_a_flag_is_the_code_s() -> None:
    told = {limit: quantity(text) for limit, text, _ in limits() if limit in CONSTANTS}
    assert told == CONSTANTS
    rules = {text for _, text, _ in limits()}
    assert f"{BATCHES_QUEUED} full batches for each instance, at least {LEAST_QUEUE}" in rules
    assert f"{MAX_FILES}, {MAX_DEPTH} directories deep" in rules


def test_every_reason_of_a_failure_is_one_that_is_counted() -> None:
    named = {reason for page in PAGES for reason in REASON.findall(page.read_text())}
    assert len(named) > 2
    assert named <= {reason.value for reason in FailureReason}


def test_the_lines_of_the_access_log_have_the_fields_that_it_writes() -> None:
    answer = Answer("digits", 2, "", "4bf92f3577b34da6a3ce929d0e0e4736", 1, 260_000, 35_000, 180_000, None, None)
    at = "2026-01-31T12:00:00.123456Z"
    (line,) = [block.text for block in of_language(PAGE, "text") if block.text.startswith("time=")]
    (as_json,) = [block.text for block in of_language(PAGE, "json")]
    assert LINES["text"](at, answer) == line
    assert json.loads(LINES["json"](at, answer)) == json.loads(as_json)
