"""A server over TLS, and on a Unix socket: Triton's client, files that are replaced, and mistakes in them."""

import json
import re
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from naiad.frontends.grpc.transport import Tls
from tests.certificates import Authority, Pair, write
from tests.e2e.commands import CANNOT_START, PORTS, serve
from tests.e2e.models import identity
from tests.e2e.server import PATIENCE, READY, Server

AUTHORITY = Authority()
PAIR = AUTHORITY.issue()
REPLACED = re.compile("the TLS certificate was replaced")


@pytest.fixture(params=["aio", "native"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "native" and find_spec("naiad._native") is None:
        pytest.skip("naiad._native is not built")
    return f"--grpc-transport={request.param}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return identity(tmp_path / "models", "echo")


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return write(tmp_path / "certificates", PAIR)


def files(tls: Tls) -> list[str]:
    named = {"server-cert": tls.certificate, "server-key": tls.key, "root-cert": tls.client_authority}
    return [f"--grpc-{flag}={path}" for flag, path in named.items() if path is not None]


def infer(client: Any) -> list[float]:
    """Have the model return two numbers."""
    tensor = triton.InferInput("INPUT0", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.array([[2.5]], np.float32))
    answer: list[float] = client.infer("echo", [tensor], client_timeout=PATIENCE).as_numpy("OUTPUT0").ravel().tolist()
    return answer


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    path = tmp_path / "authority.crt"
    path.write_bytes(AUTHORITY.pem)
    return path


def test_triton_s_client_is_served_over_tls(repository: Path, tls: Tls, trust: Path, transport: str) -> None:
    with Server(repository, flags=["--grpc-use-ssl=true", *files(tls), transport], until_ready=False) as server:
        server.line(READY)
        assert f"gRPC on {server.grpc}, over TLS" in server.log
        with triton.InferenceServerClient(server.grpc, ssl=True, root_certificates=str(trust)) as client:
            assert infer(client) == [2.5]


def test_triton_s_client_shows_its_certificate_where_that_is_demanded(
    repository: Path, tmp_path: Path, trust: Path, transport: str
) -> None:
    served = write(tmp_path / "certificates", PAIR, AUTHORITY)
    own = write(tmp_path / "client", AUTHORITY.issue("client.test"))
    shown = {"private_key": str(own.key), "certificate_chain": str(own.certificate)}
    flags = ["--grpc-use-ssl-mutual=true", *files(served), transport]
    with Server(repository, flags=flags, until_ready=False) as server:
        server.line(READY)
        trusting = {"ssl": True, "root_certificates": str(trust)}
        with triton.InferenceServerClient(server.grpc, **trusting, **shown) as client:
            assert infer(client) == [2.5]
        with (
            triton.InferenceServerClient(server.grpc, **trusting) as nobody,
            pytest.raises(InferenceServerException, match="UNAVAILABLE"),
        ):
            infer(nobody)


def test_the_log_has_nothing_of_clients_that_fail_to_shake_hands(repository: Path, tls: Tls, transport: str) -> None:
    flags = ["--grpc-use-ssl=true", *files(tls), transport, "--log-format=json"]
    with Server(repository, flags=flags, until_ready=False) as server:
        server.line(re.compile('"ready"'))
        with (
            triton.InferenceServerClient(server.grpc) as plain,
            pytest.raises(InferenceServerException, match="UNAVAILABLE"),
        ):
            infer(plain)
        server.stop()
    assert {json.loads(line)["level"] for line in server.log.splitlines()} == {"info"}


def test_files_that_are_replaced_are_used_by_new_connections(
    repository: Path, tls: Tls, tmp_path: Path, transport: str
) -> None:
    successor = Authority()
    trust = tmp_path / "successor.crt"
    trust.write_bytes(successor.pem)
    with Server(repository, flags=["--grpc-use-ssl=true", *files(tls), transport], until_ready=False) as server:
        server.line(READY)
        write(tls.key.parent, successor.issue())
        server.line(REPLACED)
        with triton.InferenceServerClient(server.grpc, ssl=True, root_certificates=str(trust)) as client:
            assert infer(client) == [2.5]


def test_everything_that_is_wrong_with_the_files_is_told_where_it_was_asked_for(
    repository: Path, tmp_path: Path
) -> None:
    tls = write(tmp_path / "certificates", Pair(b"", b""), AUTHORITY)
    tls.key.unlink()
    asked = [f"--grpc-server-cert={tls.certificate}", f"--grpc-root-cert={tls.client_authority}"]
    flags = [f"--model-repository={repository}", *PORTS, "--grpc-use-ssl-mutual", *asked]
    done = serve(*flags, NAIAD_GRPC_SERVER_KEY=str(tls.key))
    assert done.returncode == CANNOT_START
    certificate, key = done.stderr.splitlines()
    assert certificate == (
        f"naiad serve: --grpc-server-cert: {tls.certificate}: "
        "found no PEM, expected PEM with whole blocks BEGIN CERTIFICATE"
    )
    assert key == (
        f"naiad serve: NAIAD_GRPC_SERVER_KEY: {tls.key}: "
        "cannot be read: No such file or directory, expected a file in PEM"
    )


@pytest.fixture
def path() -> Iterator[Path]:
    """Where a socket may be: a short path, since the system takes no long ones."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "grpc.sock"


def test_triton_s_client_is_served_on_a_unix_socket(repository: Path, path: Path, transport: str) -> None:
    with Server(repository, flags=[f"--grpc-address=unix:{path}", transport], until_ready=False) as server:
        server.line(READY)
        assert server.grpc == f"unix:{path}"
        named = [("grpc.default_authority", "localhost")]
        with triton.InferenceServerClient(server.grpc, channel_args=named) as client:
            assert infer(client) == [2.5]
    assert not path.exists()


def test_clients_that_name_no_host_are_served_on_a_unix_socket_by_default(repository: Path, path: Path) -> None:
    with Server(repository, flags=[f"--grpc-address=unix:{path}"], until_ready=False) as server:
        server.line(READY)
        with triton.InferenceServerClient(server.grpc) as client:
            assert infer(client) == [2.5]


def test_a_unix_socket_that_cannot_be_had_is_told_in_one_line(repository: Path, path: Path, transport: str) -> None:
    path.write_text("precious")
    done = serve(f"--model-repository={repository}", *PORTS, f"--grpc-address=unix:{path}", transport)
    assert done.returncode == CANNOT_START
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("naiad serve: ")]
    assert line == f"naiad serve: cannot listen on unix:{path} (--grpc-address): File exists"
