"""What goes wrong on purpose, so that docs/troubleshooting.md quotes what is really said.

Each function brings about some situations with a real server, or a command, and returns every text that a person or
a program would see then: lines of the log, reasons in the index, what a command prints, what a client is told.
"""

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

from tests import certificates
from tests.certificates import Pair
from tests.conformance.messages import Given, fp32, int32, request, strings
from tests.docs.faulty import ONNX, SERVED, plant
from tests.e2e.models import ask, identity, send
from tests.e2e.server import PATIENCE, READY, Server, command
from tests.models import build

AUTHORITY = certificates.Authority()
KIB = 1024
RUN_MS = 300


def starts(directory: Path) -> list[str]:
    """Starts that fail."""
    directory.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lines = [
            *_start(f"--model-repository={directory}", f"--grpc-port={port}"),
            *_start(),
            *_start(f"--model-repository={directory / 'nowhere'}"),
            *_start(f"--model-repository={directory}", "--grpc-prot=8001"),
        ]
        return [*(line.replace(str(port), "8001") for line in lines), *_starts_over_tls(directory)]


def _starts_over_tls(directory: Path) -> list[str]:
    """Starts that fail for the files of TLS, or that of a Unix socket."""
    pair, other = (AUTHORITY.issue() for _ in range(2))
    mixed = certificates.write(directory / "mixed", Pair(pair.certificate, other.key))
    empty = certificates.write(directory / "empty", Pair(b"", pair.key))
    files = [[f"--grpc-server-cert={tls.certificate}", f"--grpc-server-key={tls.key}"] for tls in (mixed, empty)]
    starts = [*(["--grpc-use-ssl", *each] for each in ([], *files)), [f"--grpc-address=unix:{directory}"]]
    return [line for each in starts for line in _start(f"--model-repository={directory}", *each)]


def _start(*flags: str) -> list[str]:
    ports = ["--grpc-port=0", "--http-port=0", "--metrics-port=0"]
    free = [flag for flag in ports if not any(each.startswith(flag[:-1]) for each in flags)]
    done = subprocess.run(
        command("serve", *free, *flags), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 2, done.stderr
    return done.stderr.splitlines()


def models(directory: Path) -> list[str]:
    """Models that are not served: what `naiad check` says, and a server's index and log."""
    repository = plant(directory)
    twin = directory.parent / "twins"
    shutil.copytree(repository / "tuned", twin / "tuned")
    done = subprocess.run(
        command("check", str(repository), str(twin)), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1, done.stdout
    shutil.rmtree(twin)
    with Server(repository) as server:
        index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
        told = refusals(server.stub.ModelInfer.future(ask("misspelt", 1)) for _ in range(1))
        server.line(READY)
        log = server.log
    assert {entry.name for entry in index if entry.state == "READY"} == SERVED
    lines = [line for entry in index for line in entry.reason.splitlines()]
    return [*done.stdout.splitlines(), *lines, *told, *log.splitlines()]


def slow_load(directory: Path) -> list[str]:
    """A load that takes too long."""
    build.mlp(directory / "long" / ONNX, [8] * 800)
    with Server(directory, flags=["--model-load-timeout-secs=0.001"]) as server:
        server.line(re.compile("given up"))
        return server.log.splitlines()


def tls_files(directory: Path) -> list[str]:
    """A certificate that has expired, and files that are changed to something else."""
    tls = certificates.write(directory, AUTHORITY.issue(valid=certificates.EXPIRED))
    flags = ["--grpc-use-ssl", f"--grpc-server-cert={tls.certificate}", f"--grpc-server-key={tls.key}"]
    repository = directory / "models"
    repository.mkdir()
    with Server(repository, flags=flags, until_ready=False) as server:
        tls.key.write_bytes(b"something else")
        server.line(re.compile("TLS files were changed"))
        return server.log.splitlines()


def requests(directory: Path) -> list[str]:
    """Requests that are wrong, and a model that fails."""
    for name, write in {"digits": build.linear, "failing": build.failing}.items():
        write(directory / name / ONNX)
    build.identity(directory / "text" / ONNX, "BYTES", (1,))
    asked = [
        request("digit", _input()),
        request("digits", _input(), version="7"),
        request("digits", _input(shape=[3], data=fp32([1.0] * 3))),
        request("digits", _input(shape=[1, 15])),
        request("digits", _input(shape=[5, 16])),
        request("digits", _input(datatype="INT32", data=int32([1] * 16))),
        request("digits", _input(data=fp32([1.0] * 15))),
        request("digits", _input(name="image")),
        request("digits"),
        request("digits", _input(), outputs=["label"]),
        request("failing", Given("INPUT0", "INT64", [1, 1], (99).to_bytes(8, "little"))),
        request("text", Given("INPUT0", "BYTES", [1, 1], strings(b"\xff"))),
    ]
    with Server(directory) as server:
        return [*refusals(server.stub.ModelInfer.future(each, timeout=PATIENCE) for each in asked), *_unserved(server)]


def _input(
    name: str = "INPUT0", datatype: str = "FP32", shape: Iterable[int] = (1, 16), data: bytes | None = None
) -> Given:
    rows = list(shape)
    return Given(name, datatype, rows, fp32([1.0] * 16 * (rows[0] if len(rows) == 2 else 1)) if data is None else data)


def _unserved(server: Server) -> list[str]:
    call = server.stub.TraceSetting.future(service_pb2.TraceSettingRequest())
    stream = server.stub.ModelStreamInfer(iter([service_pb2.ModelInferRequest(model_name="digits")]), timeout=PATIENCE)
    try:
        list(stream)
    except grpc.RpcError as error:
        return [*refusals([call]), str(error.details())]
    raise AssertionError("streaming is served by now")


def limits(directory: Path) -> list[str]:
    """Every limit, and a stop with a deadline."""
    queue = "dynamic_batching { default_queue_policy { max_queue_size: 2 default_timeout_microseconds: 50000 } }"
    identity(directory, "full", RUN_MS, more=queue)
    identity(directory, "wide", RUN_MS, dims=-1)
    flags = [f"--max-bytes-in-flight={100 * KIB}", f"--grpc-max-message-size={64 * KIB}"]
    with Server(directory, flags=flags) as server:
        told = refusals(send(server, "full", *range(8)))
        told += refusals(server.stub.ModelInfer.future(_wide(15), timeout=PATIENCE) for _ in range(3))
        told += refusals([server.stub.ModelInfer.future(_wide(20), timeout=PATIENCE)])
        told += refusals([server.stub.ModelInfer.future(_wide(1), timeout=RUN_MS / 3000)])
    return told


def _wide(kilofloats: int) -> Any:
    return request("wide", Given("INPUT0", "FP32", [1, kilofloats * KIB], fp32([0.5] * kilofloats * KIB)))


def stopping(directory: Path) -> list[str]:
    """A server that stops while a model hangs."""
    identity(directory, "stuck", 600_000)
    with Server(directory, flags=["--exit-timeout-secs=3"]) as server:
        (hung,) = send(server, "stuck", 1)
        told = refusals([server.stub.ModelInfer.future(ask("stuck", 2), timeout=RUN_MS / 1000)])
        server.signal(signal.SIGTERM)
        while "UNAVAILABLE" not in told[-1]:
            told += refusals([server.stub.ModelInfer.future(ask("stuck", 3), timeout=RUN_MS / 1000)])
        told += refusals([hung])
        server.wait(1)
    return [*told, *server.log.splitlines()]


def refusals(calls: Iterable[Any]) -> list[str]:
    """What clients are told whose calls fail: the code and the text."""
    failed = [(call.code().name, call.details()) for call in list(calls) if call.code() is not grpc.StatusCode.OK]
    return [f"{code}: {details}" for code, details in failed]
