"""What settings do to a real server: where they may stand, what they switch, and how it ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest
from tritonclient.grpc import service_pb2

from tests.e2e.commands import CANNOT_START, PORTS, complaint, serve
from tests.e2e.models import ask, identity
from tests.e2e.server import GRPC, HTTP, PATIENCE, READY, Server, command
from tests.models.build import add_sub

FAILED = 1
_TENSOR = 'name: "{}" data_type: TYPE_INT32 dims: [16]'
UNNAMED = f"""
    max_batch_size: 8
    input [ {{ {_TENSOR.format("INPUT0")} }}, {{ {_TENSOR.format("INPUT1")} }} ]
    output {{ {_TENSOR.format("OUTPUT0")} }}
"""
"""A config of the model `add_sub` that says all but the backend."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return identity(tmp_path / "models", "echo")


@pytest.fixture
def broken(repository: Path) -> Path:
    """A repository of one model that serves and one that cannot be loaded."""
    (repository / "garbage" / "1").mkdir(parents=True)
    (repository / "garbage" / "1" / "model.onnx").write_bytes(b"this is no model")
    return repository


@contextmanager
def started(*arguments: str) -> Iterator[list[str]]:
    """Start a server that may listen nowhere, and give its log up to `ready`; at the end it must stop well."""
    process = subprocess.Popen(command("serve", *PORTS, *arguments), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as stream:
        try:
            log = []
            for line in stream:
                log.append(line)
                if READY.search(line):
                    break
            yield log
            process.terminate()
            log += stream
            assert process.wait(PATIENCE) == 0, log
        finally:
            process.kill()
            process.wait(PATIENCE)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def status(server: Server, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{server.http}{path}", timeout=PATIENCE) as answer:
            code: int = answer.status
            return code
    except HTTPError as error:
        return error.code


def index(server: Server) -> dict[str, tuple[str, str]]:
    models = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    return {entry.name: (entry.state, entry.reason) for entry in models}


def is_ready(server: Server) -> bool:
    ready: bool = server.stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=PATIENCE).ready
    return ready


# Where settings stand, and what cannot be used.


def test_a_server_takes_its_settings_from_a_file(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text(f'model-repository = "{repository}"\nid = "from a file"\nlog-format = "json"\n')
    with Server(flags=[f"--config-file={file}"]) as server:
        assert server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE).model_name == "echo"
        assert server.stub.ServerMetadata(service_pb2.ServerMetadataRequest(), timeout=PATIENCE).name == "from a file"
    assert all(json.loads(line) for line in server.log.splitlines())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("grpc-prot = 1", ":1: grpc-prot: there is no such setting; did you mean grpc-port?"),
        ("grpc-port 8001", ": expected TOML: "),
        ("id = 'a'\nmax-queue-size = 'x'", ":2: max-queue-size: got 'x', expected a valid integer"),
    ],
)
def test_a_file_that_is_wrong_is_told_in_one_line(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text(content)
    assert complaint(*PORTS, NAIAD_CONFIG_FILE=str(file)).startswith(f"naiad serve: {file}{told}")


def test_a_misspelt_variable_is_told_in_the_log(broken: Path) -> None:
    done = serve(f"--model-repository={broken}", *PORTS, "--exit-on-error", NAIAD_LOG_LEVLE="debug")
    assert "NAIAD_LOG_LEVLE: there is no such setting; did you mean NAIAD_LOG_LEVEL?" in done.stderr


WITHOUT_PRIVILEGES = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: with them everything can be read
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "naiad", "serve", *sys.argv[1:]])
"""


@pytest.mark.parametrize("flag", ["--model-repository", "--config-file", "--log-file"])
def test_what_may_not_be_read_or_written_is_told_in_one_line(repository: Path, tmp_path: Path, flag: str) -> None:
    path = tmp_path / "forbidden"
    path.mkdir() if flag == "--model-repository" else path.write_text("")
    path.chmod(0)
    arguments = [f"{flag}={path}", *PORTS]
    if flag != "--model-repository":
        arguments.append(f"--model-repository={repository}")
    try:
        run = [sys.executable, "-c", WITHOUT_PRIVILEGES, *arguments]
        done = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=False)
    finally:
        path.chmod(0o755)
    assert done.returncode == CANNOT_START
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"naiad serve: {flag}: {path}")
    assert "Permission denied" in line


def test_a_log_file_that_is_a_directory_is_told_in_one_line(repository: Path, tmp_path: Path) -> None:
    line = complaint(f"--model-repository={repository}", *PORTS, f"--log-file={tmp_path}")
    assert line == f"naiad serve: --log-file: {tmp_path} cannot be written: Is a directory"


def test_every_mistake_has_a_line(repository: Path) -> None:
    done = serve(f"--model-repository={repository}", "--grpc-prot=1", "--htpp-port=2", "models")
    assert done.returncode == CANNOT_START
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["--grpc-prot:", "--htpp-port:", "'models':"]


# What is served.


def test_a_model_that_fails_ends_the_server_where_that_is_asked_for(broken: Path) -> None:
    done = serve(f"--model-repository={broken}", *PORTS, "--exit-on-error=true")
    assert done.returncode == FAILED
    assert "could not be served, which ends the server (--exit-on-error): garbage" in done.stderr
    assert "model.onnx" in done.stderr


def test_a_server_that_would_end_on_errors_serves_without_any(repository: Path) -> None:
    with Server(repository, flags=["--exit-on-error"]) as server:
        assert server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE).model_name == "echo"


def test_a_load_that_fails_is_tried_as_often_as_asked(broken: Path) -> None:
    done = serve(f"--model-repository={broken}", *PORTS, "--exit-on-error", "--model-load-retry-count=2")
    assert done.stderr.count("failed to load and is tried again") == 2


def test_a_strict_server_is_not_ready_while_a_model_is_not_and_serves_the_others(broken: Path) -> None:
    with Server(broken, flags=["--strict-readiness=true"], until_ready=False) as server:
        server.line(READY)
        assert not is_ready(server)
        assert status(server, "/v2/health/ready") == 400
        assert server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE).model_name == "echo"


@pytest.mark.parametrize("flag", ["--strict-readiness=false", "--strict-readiness=true"])
def test_a_server_whose_models_are_all_ready_is(repository: Path, flag: str) -> None:
    with Server(repository, flags=[flag]) as server:
        assert is_ready(server)
        assert status(server, "/v2/health/ready") == 200


def test_in_explicit_mode_only_what_is_named_is_loaded(broken: Path) -> None:
    identity(broken, "other")
    flags = ["--model-control-mode=explicit", "--load-model=echo", "--load-model=gone", "--strict-readiness=false"]
    with Server(broken, flags=flags) as server:
        assert index(server) == {
            "echo": ("READY", ""),
            "garbage": ("", ""),
            "gone": ("UNAVAILABLE", "no repository has a model 'gone', which --load-model names"),
            "other": ("", ""),
        }
        assert is_ready(server)
        server.line(READY)
        assert "no repository has a model 'gone'" in server.log


def test_a_model_that_is_named_and_nowhere_counts_as_failed(repository: Path) -> None:
    done = serve(
        f"--model-repository={repository}",
        *PORTS,
        "--model-control-mode=explicit",
        "--load-model=gone",
        "--exit-on-error",
    )
    assert done.returncode == FAILED
    assert "(--exit-on-error): gone" in done.stderr


def test_configs_are_not_completed_where_that_is_switched_off(repository: Path) -> None:
    add_sub(repository / "bare" / "1" / "model.onnx")
    add_sub(repository / "unnamed" / "1" / "model.onnx")
    (repository / "unnamed" / "config.pbtxt").write_text(UNNAMED)
    with Server(repository, flags=["--disable-auto-complete-config"]) as server:
        states = index(server)
    assert states["echo"] == ("READY", "")
    assert states["unnamed"] == ("READY", "")
    assert states["bare"][0] == "UNAVAILABLE"
    assert "must specify 'input'" in states["bare"][1]
    assert "--disable-auto-complete-config" in states["bare"][1]


def test_a_model_is_served_by_the_config_of_the_given_name(repository: Path) -> None:
    usual = repository / "echo" / "config.pbtxt"
    named = repository / "echo" / "configs" / "large.pbtxt"
    named.parent.mkdir()
    named.write_text(usual.read_text().replace("max_batch_size: 1", "max_batch_size: 64"))
    identity(repository, "other")
    with Server(repository, flags=["--model-config-name=large"]) as server:
        sizes = {
            name: server.stub.ModelConfig(
                service_pb2.ModelConfigRequest(name=name), timeout=PATIENCE
            ).config.max_batch_size
            for name in ("echo", "other")
        }
    assert sizes == {"echo": 64, "other": 1}


@pytest.mark.parametrize("size", [0, 16])
def test_a_batch_size_may_be_given_for_all_backends(repository: Path, size: int) -> None:
    add_sub(repository / "bare" / "1" / "model.onnx")
    request = service_pb2.ModelConfigRequest(name="bare")
    with Server(repository, flags=[f"--backend-config=default-max-batch-size={size}"]) as server:
        assert server.stub.ModelConfig(request, timeout=PATIENCE).config.max_batch_size == size


# Where it listens.


def test_what_is_switched_off_does_not_listen(repository: Path) -> None:
    with started(f"--model-repository={repository}", "--allow-http=false", "--allow-metrics=false") as log:
        assert GRPC.search("".join(log))
        assert "HTTP on" not in "".join(log)
        assert "metrics on" not in "".join(log)


def test_without_grpc_there_is_health_over_http_and_a_warning(repository: Path) -> None:
    with started(f"--model-repository={repository}", "--allow-grpc=false") as log:
        text = "".join(log)
        assert not GRPC.search(text)
        assert "--allow-grpc=false: inference is served over gRPC only yet" in text
        match = HTTP.search(text)
        assert match is not None
        assert f"HTTP on {match[1]} (health only: inference over HTTP is not served yet)" in text
        with urllib.request.urlopen(f"http://{match[1]}/v2/health/ready", timeout=PATIENCE) as answer:
            assert answer.status == 200


def test_two_servers_may_share_their_ports_if_both_say_so(repository: Path) -> None:
    shared = ["--reuse-grpc-port=true", "--reuse-http-port=true"]
    with Server(repository, flags=shared) as first:
        ports = [f"--grpc-port={first.grpc.rpartition(':')[2]}", f"--http-port={first.http.rpartition(':')[2]}"]
        with Server(repository, flags=[*shared, *ports]) as second:
            assert (second.grpc, second.http) == (first.grpc, first.http)
        assert "in use" in complaint(f"--model-repository={repository}", *PORTS, *ports)


@pytest.mark.parametrize("flag", ["--grpc-address", "--http-address", "--metrics-address"])
def test_an_address_of_ipv6_may_have_its_brackets(repository: Path, flag: str) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with started(f"--model-repository={repository}", f"{flag}=[::1]") as log:
        assert " on ::1:" in "".join(log)


def test_a_server_without_requests_ends_well_however_little_time_it_has(repository: Path) -> None:
    with started(f"--model-repository={repository}", "--exit-timeout-secs=0") as log:
        assert any("ready" in line for line in log)


# The log.


def test_the_whole_log_is_json_from_the_first_line_to_the_last(broken: Path) -> None:
    flags = ["--log-format=json", "--cache-config=local,size=1", "--log-verbose=1"]
    with Server(broken, flags=flags) as server:
        assert server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE).model_name == "echo"
    events = [json.loads(line) for line in server.log.splitlines()]
    texts = [event["event"] for event in events]
    assert {"timestamp", "level", "event"} <= set.intersection(*(set(event) for event in events))
    assert {"info", "warning", "error"} <= {event["level"] for event in events} <= {"debug", "info", "warning", "error"}
    assert texts[-1] == "stopped"
    assert any("garbage" in text and "model.onnx" in text for text in texts)


def test_the_log_goes_to_a_file_and_mistakes_before_it_do_not(broken: Path, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    done = serve(f"--model-repository={broken}", *PORTS, f"--log-file={file}", "--exit-on-error")
    assert (done.returncode, done.stderr) == (FAILED, "")
    log = file.read_text()
    assert "gRPC on" in log
    assert "garbage" in log
    assert "\x1b" not in log


def test_levels_are_muted_one_by_one(broken: Path) -> None:
    done = serve(f"--model-repository={broken}", *PORTS, "--log-info=false", "--exit-on-error", "--cache-config=x,y=1")
    assert "[info" not in done.stderr
    assert "[warning" in done.stderr
    assert "[error" in done.stderr
