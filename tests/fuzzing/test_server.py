"""What real clients say to a server, changed at random, is said to a server: it stays well, and serves others.

A failure names the file that has the streams of the last assault, one in a line, in hex.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom

import psutil
import pytest

from tests.abuse.frames import PREFACE
from tests.abuse.peer import Peer
from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server
from tests.fuzzing.assault import address, assault
from tests.fuzzing.conversations import MODEL, TALKS, WIDE, WIDTH, talk
from tests.fuzzing.mutation import HEADERS, RST_STREAM, Frame, frames, mutate
from tests.fuzzing.recording import Recorder

AT_ONCE = 100
SHORT, LONG = 10, 600
"""Seconds of fuzzing."""
MB = 2**20
MOST_GROWTH = 64 * MB
"""How much memory a long assault may leave behind that a short one has not taken."""
FLAGS = ("--grpc-transport=native", f"--grpc-max-message-size={MB}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    identity(directory, WIDE, dims=WIDTH)
    return identity(directory, MODEL)


@pytest.fixture
def server(repository: Path) -> Iterator[Server]:
    pytest.importorskip("naiad._native", reason="naiad._native is not built")
    with Server(repository, flags=FLAGS) as server:
        yield server
    assert "panicked" not in server.log, server.tail()


def record(server: Server) -> dict[str, bytes]:
    """What a client says in each talk."""
    said = {}
    for name in TALKS:
        with Recorder(server.grpc) as recorder:
            talk(recorder.address, name)
        (said[name],) = recorder.recorded
    return said


def test_what_was_recorded_is_understood_when_it_is_said_again(server: Server) -> None:
    for name, said in record(server).items():
        recorded = frames(said)
        assert PREFACE + b"".join(map(bytes, recorded)) == said
        taken_back = {frame.stream for frame in recorded if frame.kind == RST_STREAM}
        assert bool(taken_back) == (name == "take back")
        assert_answered(server, said, {frame.stream for frame in recorded if frame.kind == HEADERS} - taken_back)


@pytest.mark.timeout(SHORT + 60)
def test_a_server_survives_wrong_streams_for_some_seconds(server: Server, tmp_path: Path) -> None:
    outcomes = fuzz(server, SHORT, tmp_path)
    assert outcomes["answered"] > AT_ONCE
    assert outcomes["sent away"] > AT_ONCE


@pytest.mark.drill
@pytest.mark.timeout(LONG + 120)
def test_a_server_survives_wrong_streams_for_minutes_and_grows_no_further(server: Server, tmp_path: Path) -> None:
    process = psutil.Process(server.pid)
    fuzz(server, LONG / 10, tmp_path)
    before = process.memory_info().rss
    outcomes = fuzz(server, LONG * 9 / 10, tmp_path)
    grown = process.memory_info().rss - before
    assert grown < MOST_GROWTH, f"memory grew by {grown / MB:.1f} MB after {outcomes['all']} streams"


def fuzz(server: Server, seconds: float, directory: Path) -> Counter[str]:
    """Assault a server for so long; return how connections went."""
    process = psutil.Process(server.pid)
    samples: list[list[Frame]] = [frames(said) for said in record(server).values()]
    assert_serves(server)
    descriptors = process.num_fds()
    seed = SystemRandom().getrandbits(32)
    random = Random(seed)  # noqa: S311 - a test has no secrets
    outcomes, until = Counter[str](), time.monotonic() + seconds
    while time.monotonic() < until:
        streams = [mutate(samples, random) for _ in range(AT_ONCE)]
        kept = directory / f"seed-{seed}"
        kept.write_text("\n".join(stream.hex() for stream in streams))
        try:
            for received in assault(address(server), streams):
                outcomes["answered"] += bool(received.answered)
                outcomes["sent away"] += received.good_bye is not None
                outcomes["all"] += 1
            assert_serves(server)
            assert "panicked" not in server.log
        except Exception as failure:
            failure.add_note(f"after the streams in {kept}")
            raise
    assert_let_go(process, descriptors, server)
    return outcomes


def assert_answered(server: Server, said: bytes, streams: set[int]) -> None:
    with Peer(address(server), said, answers=False) as peer:
        peer.ping()
        peer.wait_for(lambda: streams <= peer.received.answered)
        assert peer.received.good_bye is None


def assert_serves(server: Server) -> None:
    request = ask(MODEL, 7)
    answer = server.stub.ModelInfer(request, timeout=PATIENCE)
    assert list(answer.raw_output_contents) == list(request.raw_input_contents)


def assert_let_go(process: psutil.Process, descriptors: int, server: Server) -> None:
    """The server closes the last connections while it serves on."""
    until = time.monotonic() + PATIENCE
    while (now := process.num_fds()) > descriptors:
        assert time.monotonic() < until, f"{now} descriptors, and {descriptors} before"
        assert_serves(server)
