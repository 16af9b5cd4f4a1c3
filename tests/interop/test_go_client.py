"""gRPC's own client of its interoperability tests, the one in Go, built as it is: its cases pass over every transport.

It fetches some 200 MB of modules and compiles for minutes where that was never done, so it is left to `make drill`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from naiad.frontends.grpc.transport import TransportSettings
from tests.clients.toolchains import GO, go_environment, require_toolchain, run
from tests.core.scripted import eventually
from tests.interop.conftest import Make
from tests.interop.service import InteropServer

require_toolchain(GO)

HOME = Path(__file__).resolve().parent / "go"
PROGRAM = "google.golang.org/grpc/interop/client"
BUILDING = 600
"""Seconds that fetching and building may take."""

SOAK = (
    "--soak_iterations=50",
    "--soak_max_failures=0",
    "--soak_per_iteration_max_acceptable_latency_ms=5000",
    "--soak_overall_timeout_seconds=60",
)
CASES = {
    "empty_unary": (),
    "large_unary": (),
    "client_streaming": (),
    "server_streaming": (),
    "ping_pong": (),
    "empty_stream": (),
    "cancel_after_begin": (),
    "cancel_after_first_response": (),
    "timeout_on_sleeping_server": (),
    "status_code_and_message": (),
    "special_status_message": (),
    "custom_metadata": (),
    "unimplemented_method": (),
    "unimplemented_service": (),
    "rpc_soak": SOAK,
    "channel_soak": SOAK,
}

pytestmark = [pytest.mark.drill, pytest.mark.timeout(BUILDING)]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("interop") / "client"
    run(["go", "build", "-o", built, PROGRAM], HOME, go_environment(), seconds=BUILDING)
    return built


def test_the_go_client_s_cases_pass(program: Path, make: Make) -> None:
    with InteropServer(make, TransportSettings(port=0)) as server:
        address = ["--server_host=127.0.0.1", f"--server_port={server.port}"]
        for case, flags in CASES.items():
            run([program, *address, f"--test_case={case}", *flags], HOME)
        eventually(lambda: server.open == 0)


def test_a_case_that_the_server_cannot_pass_fails(program: Path, make: Make) -> None:
    with InteropServer(make, TransportSettings(port=0, max_message_size=1000)) as server:
        address = ["--server_host=127.0.0.1", f"--server_port={server.port}"]
        run([program, *address, "--test_case=large_unary"], HOME, code=1)
