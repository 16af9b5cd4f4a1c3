"""Transports and servers that are started and stopped often: nothing is left of those that were."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frontends.grpc.wires import TRANSPORTS
from tests.soak.counting import outside
from tests.soak.crowd import Crowd
from tests.soak.observed import ROOT, Observed
from tests.soak.visitors import asks, models, reflects

SOME, MANY = 300, 5000
MANY_SECONDS = 300
COMPLAINT = re.compile("Warning|Error|Traceback")
"""In development mode asyncio also tells of what took long, which is no fault."""
GRPCIO_S = re.compile(
    r"Exception in callback PollerCompletionQueue.*?\nRuntimeError: Event loop is closed\n", re.DOTALL
)
"""grpcio has one queue for all loops of a process, and now and then wakes one that has ended meanwhile."""


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    return name


def grown(transport: str, cycles: int, kind: str = "whole", seconds: float = 50, **environment: str) -> list[str]:
    """What has grown after so many cycles in a process of their own, which must end well and without a complaint."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.cycles", transport, str(cycles), kind],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not COMPLAINT.search(GRPCIO_S.sub("", done.stderr)), done.stderr
    texts: list[str] = json.loads(done.stdout)
    return texts


def test_nothing_is_left_of_transports_that_were_stopped(transport: str) -> None:
    assert grown(transport, SOME) == []


@pytest.mark.drill
@pytest.mark.timeout(MANY_SECONDS)
def test_nothing_is_left_of_many_transports_that_were_stopped(transport: str) -> None:
    assert grown(transport, MANY, seconds=MANY_SECONDS) == []


@pytest.mark.parametrize("transport", ["native"], indirect=True)
def test_nothing_is_left_of_transports_that_could_not_listen(transport: str) -> None:
    """grpc.aio, on the other hand, keeps a little of each."""
    assert grown(transport, SOME, "refused") == []


def test_a_call_that_is_kept_of_each_transport_is_found(transport: str) -> None:
    found = grown(transport, SOME, "leaking")
    assert any("Call" in text for text in found), found


def test_python_in_development_mode_finds_nothing_to_complain_about(transport: str) -> None:
    assert grown(transport, 20, PYTHONDEVMODE="1", PYTHONWARNINGS="error") == []


def test_a_server_starts_and_stops_in_development_mode(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    repository = models(tmp_path)
    visits = {"asks": asks, "reflects": reflects}
    descriptors = outside(os.getpid()).descriptors
    for number in range(2):
        with Observed(repository, transport) as server, Crowd(server.grpc, visits, seed=number):
            pass
        assert not COMPLAINT.search(server.log), server.log
    assert outside(os.getpid()).descriptors <= descriptors
