"""Starting: what keeps the server from it is one clear line; what does not, is told and left out."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2

from tests.e2e.commands import CANNOT_START, PORTS, complaint, serve
from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server
from tests.models.build import add_sub, mlp


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return identity(tmp_path / "models", "echo")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("flag", ["--grpc-port", "--http-port", "--metrics-port"])
def test_a_port_in_use_is_named_and_nothing_is_served(repository: Path, taken: int, flag: str) -> None:
    line = complaint(f"--model-repository={repository}", *PORTS, f"{flag}={taken}")
    assert line.count("127.0.0.1") == 1
    assert f"127.0.0.1:{taken} " in line
    assert f"{flag})" in line
    assert "in use" in line.lower()


@pytest.mark.parametrize("flag", ["--grpc-address", "--http-address", "--metrics-address"])
def test_an_address_that_is_none_is_named_once(repository: Path, flag: str) -> None:
    line = complaint(f"--model-repository={repository}", *PORTS, f"{flag}=no.such.host.invalid")
    assert line.count("no.such.host.invalid") == 1
    assert f"({flag}, " in line


def test_a_repository_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    line = complaint(f"--model-repository={missing}", *PORTS)
    assert str(missing) in line


def test_a_start_without_a_repository_says_which_flag_is_missing() -> None:
    assert "--model-repository" in complaint(*PORTS)


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--grpc-port=70000", "--grpc-port"),
        ("--grpc-port=many", "--grpc-port"),
        ("--model-control-mode=sometimes", "--model-control-mode"),
        ("--backend-config=onnxruntime", "--backend-config"),
        ("--exit-timeout-secs=-1", "--exit-timeout-secs"),
        ("--grpc-prot=8001", "grpc-prot"),
    ],
)
def test_a_bad_flag_is_named(repository: Path, argument: str, told: str) -> None:
    done = serve(f"--model-repository={repository}", *PORTS, argument)
    assert done.returncode == CANNOT_START
    assert told in done.stderr


def test_a_repository_may_be_named_by_the_environment_which_is_told_when_it_is_wrong(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    line = complaint(*PORTS, NAIAD_MODEL_REPOSITORY=str(missing))
    assert line.startswith(f"naiad serve: NAIAD_MODEL_REPOSITORY: {missing}")


@pytest.mark.parametrize("separator", [",", ":"])
def test_two_repositories_in_one_flag_are_told_to_be_two(repository: Path, tmp_path: Path, separator: str) -> None:
    line = complaint(f"--model-repository={repository}{separator}{tmp_path / 'gone'}", *PORTS)
    assert line.endswith(f"found 2 paths with '{separator}' between them, expected one directory: repeat the flag")


def test_an_empty_repository_flag_does_not_serve_the_directory_that_one_is_in() -> None:
    assert "--model-repository: got '', expected a directory" in complaint("--model-repository=", *PORTS)


@pytest.mark.parametrize(
    "option",
    [
        "onnxruntime,default-max-batch-size=eight",
        "onnxruntime,default-max-batch-size=-3",
        "onnxruntime,default-max-batch-size=99999999999",
        "onnxruntime,intra_op_thread_count=many",
        "default-max-batch-size=99999999999",
    ],
)
def test_an_option_that_a_backend_cannot_use_keeps_the_server_from_starting(repository: Path, option: str) -> None:
    line = complaint(f"--model-repository={repository}", *PORTS, f"--backend-config={option}")
    assert line.startswith("naiad serve: --backend-config: ")
    assert option.rpartition("=")[2] in line


def test_everything_that_is_in_the_way_is_told_together(tmp_path: Path) -> None:
    missing = [f"--model-repository={tmp_path / name}" for name in ("one", "two")]
    done = serve(*missing, *PORTS, "--backend-config=onnxruntime,intra_op_thread_count=x")
    assert done.returncode == CANNOT_START
    assert len(done.stderr.splitlines()) == 3


def test_a_bad_list_in_the_environment_is_one_line() -> None:
    line = complaint(*PORTS, NAIAD_MODEL_REPOSITORY='["models"')
    assert "NAIAD_MODEL_REPOSITORY" in line
    assert "expected a JSON list" in line


def test_help_lists_the_settings_and_starts_nothing() -> None:
    done = serve("--help")
    assert done.returncode == 0
    assert {"--model-repository", "--grpc-port", "--exit-timeout-secs"} <= set(re.findall(r"--[a-z-]+", done.stdout))


def test_a_model_that_fails_leaves_the_others_serving_and_says_why(repository: Path) -> None:
    (repository / "garbage" / "1").mkdir(parents=True)
    (repository / "garbage" / "1" / "model.onnx").write_bytes(b"this is no model")
    misspelt = add_sub(repository / "misspelt" / "1" / "model.onnx").parents[1] / "config.pbtxt"
    misspelt.write_text("max_batch_sise: 8\n")
    with Server(repository) as server:
        assert list(server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE).raw_output_contents)
        index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
        states = {entry.name: entry.state for entry in index}
        reasons = {entry.name: entry.reason for entry in index}
    assert states == {"echo": "READY", "garbage": "UNAVAILABLE", "misspelt": "UNAVAILABLE"}
    assert "model.onnx" in reasons["garbage"]
    assert "config.pbtxt:1" in reasons["misspelt"]
    assert "max_batch_size" in reasons["misspelt"]
    for name in ("garbage", "misspelt"):
        assert reasons[name].splitlines()[0].partition(" (tried again")[0] in server.log


def test_names_that_are_markup_control_characters_or_no_text_are_shown_and_stop_nothing(repository: Path) -> None:
    (repository / "markup").mkdir()
    (repository / "markup" / "config.pbtxt").write_text('name: "[/a]"')
    (repository / "[b]red" / "1").mkdir(parents=True)
    (repository / "line\n2026-01-01 forged\x1b[31m" / "1").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(repository) + b"/no\xfftext/1")).mkdir(parents=True)
    with Server(repository) as server:
        server.line(re.compile(r"\] ready"))
        index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
        assert {"echo", "markup", "[b]red", "no\\udcfftext"} < {entry.name for entry in index}
        assert [entry.state for entry in index].count("READY") == 1
        assert "[/a]" in next(entry.reason for entry in index if entry.name == "markup")
    assert not [line for line in server.log.splitlines() if line.startswith("2026-01-01 forged")]
    assert "\x1b" not in server.log
    assert "[b]red" in server.log


def test_a_load_that_takes_too_long_fails_and_the_server_gets_ready(repository: Path) -> None:
    mlp(repository / "long" / "1" / "model.onnx", [8] * 800)
    with Server(repository, flags=["--model-load-timeout-secs=0.05"]) as server:
        index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
        assert [(e.name, e.state) for e in index] == [("echo", "READY"), ("long", "UNAVAILABLE")]
        assert "--model-load-timeout-secs" in index[1].reason


def test_a_failed_version_leaves_its_sibling_serving(repository: Path) -> None:
    add_sub(repository / "pair" / "1" / "model.onnx")
    (repository / "pair" / "2").mkdir()
    (repository / "pair" / "2" / "model.onnx").write_bytes(b"this is no model")
    (repository / "pair" / "config.pbtxt").write_text("version_policy { all { } }\n")
    with Server(repository) as server:
        index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
        assert [(e.version, e.state) for e in index if e.name == "pair"] == [("1", "READY"), ("2", "UNAVAILABLE")]


def test_one_model_s_own_directory_is_served_too(repository: Path) -> None:
    with Server(repository / "echo") as server:
        assert server.stub.ModelInfer(ask("echo", 2), timeout=PATIENCE).model_version == "1"


def test_several_repositories_are_served_together(repository: Path, tmp_path: Path) -> None:
    with Server(repository, identity(tmp_path / "more", "other")) as server:
        for name in ("echo", "other"):
            assert server.stub.ModelInfer(ask(name, 3), timeout=PATIENCE).model_name == name
