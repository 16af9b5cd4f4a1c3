"""`naiad status` of a real server, in every form."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import certificates
from tests.certificates import Authority
from tests.drills.versions import NAME, files, lay, wait
from tests.e2e.models import identity, send
from tests.e2e.server import PATIENCE, Server, command

FLAGS = ["--repository-settle-secs=0.2"]
AUTHORITY = Authority()


def status(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("status", *arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def told(*arguments: str) -> Any:
    done = status(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("transport", ["native", "aio"])
def test_the_table_has_every_version_with_its_state_and_what_it_does(tmp_path: Path, transport: str) -> None:
    if transport == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    lay(tmp_path)
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "config.pbtxt").write_text("max_batch_sise: 8")
    with Server(tmp_path, flags=[*FLAGS, f"--grpc-transport={transport}"]) as server:
        done = status(server.grpc)
    assert done.returncode == 0
    assert done.stdout.startswith("naiad ")
    assert ", ready, up " in done.stdout.splitlines()[0]
    assert ", poll" in done.stdout.splitlines()[0]
    (sample,) = [line for line in done.stdout.splitlines() if NAME in line]
    assert "ready" in sample
    assert "0/" in sample
    assert "max_batch_sise" in done.stdout


def test_json_has_all_there_is(tmp_path: Path) -> None:
    with Server(lay(tmp_path), flags=FLAGS) as server:
        (model,) = told(server.grpc)["models"]
        (version,) = model["versions"]
        assert (model["name"], model["loads"], model["load_failures"], model["problem"]) == (NAME, "1", "0", "")
        assert (version["version"], version["state"], version["index_state"]) == ("1", "ready", "READY")
        assert version["load_seconds"] > 0
        assert len(version["identity"]) > 8
        assert [instance["device"] for instance in version["instances"]] == ["cpu"]
        (tmp_path / NAME / "1" / "model.onnx").write_bytes(b"<html>404</html>" * 10)

        def coming() -> Any:
            (version,) = told(server.grpc)["models"][0]["versions"]
            return version.get("coming")

        wait(lambda: bool(coming()), "nothing is coming", server)
        wait(lambda: "model.onnx" in coming()["reason"], "no reason is told", server)
        assert "+ " in status(server.grpc).stdout


def test_requests_that_run_and_wait_are_told(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "slow", 1000), flags=FLAGS) as server:
        calls = send(server, "slow", 1, 2, 3)

        def now() -> tuple[int, int]:
            (version,) = told(server.grpc, "--model", "slow")["models"][0]["versions"]
            return int(version["in_flight"]), int(version["queued"])

        wait(lambda: now() == (1, 2), "no request runs beside two that wait", server)
        assert all(call.result(PATIENCE) for call in calls)


def test_swaps_are_counted(tmp_path: Path) -> None:
    with Server(lay(tmp_path), flags=FLAGS) as server:
        version = tmp_path / NAME / "2"
        version.mkdir()
        for name, content in files(2).items():
            (version / name).write_bytes(content)
        wait(lambda: told(server.grpc)["models"][0]["swaps"] == "1", "no swap is counted", server)


def test_only_the_models_that_are_named_are_shown(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        identity(tmp_path, name)
    with Server(tmp_path, flags=FLAGS) as server:
        names = {model["name"] for model in told(server.grpc, "--model", "a", "--model=c")["models"]}
        assert names == {"a", "c"}
        assert told(server.grpc, "--model", "nobody")["models"] == []


def test_watching_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "a"), flags=FLAGS) as server:
        watching = subprocess.Popen(
            command("status", server.grpc, "--watch", "--json"), stdout=subprocess.PIPE, text=True
        )
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE) == 0
        watching.stdout.close()
    first, second = (json.loads(line)["server"]["uptime_seconds"] for line in lines)
    assert second > first


def test_names_cannot_move_the_terminals_cursor(tmp_path: Path) -> None:
    identity(tmp_path, "[b]red")
    with Server(tmp_path, flags=FLAGS) as server:
        done = status(server.grpc)
    assert "[b]red" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_server_is_asked_over_tls(tmp_path: Path) -> None:
    tls = certificates.write(tmp_path / "tls", AUTHORITY.issue())
    root = tmp_path / "root.pem"
    root.write_bytes(AUTHORITY.pem)
    flags = [*FLAGS, "--grpc-use-ssl", f"--grpc-server-cert={tls.certificate}", f"--grpc-server-key={tls.key}"]
    with Server(identity(tmp_path / "models", "a"), flags=flags, until_ready=False) as server:
        port = server.grpc.rpartition(":")[2]
        assert told(f"localhost:{port}", f"--tls-root-cert={root}")["models"][0]["name"] == "a"
        assert status(f"localhost:{port}").returncode == 1


@pytest.mark.parametrize("arguments", [["--tls-root-cert=nowhere.pem"], []])
def test_one_that_cannot_be_asked_is_told_in_one_line(arguments: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = status(address, *arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("naiad status: ")
    assert ("nowhere.pem" if arguments else address) in line


def test_one_that_is_no_naiad_is_told(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "a"), flags=FLAGS) as server:
        done = status(server.http)
    assert done.returncode == 1
    assert "cannot be asked" in done.stderr or "did not answer" in done.stderr


def test_the_command_line_is_checked() -> None:
    assert status("--wach").returncode == 2
