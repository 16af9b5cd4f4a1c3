"""The program in Go gets the right answers from a real server, and its generated code is what protos/ compile to."""

import sys
from pathlib import Path

import pytest

from tests.clients.toolchains import (
    CLIENTS,
    GO,
    NOWHERE,
    PATIENCE,
    PROMISED,
    go_environment,
    require_toolchain,
    run,
)
from tests.e2e.server import Server

require_toolchain(GO)

HOME = CLIENTS / "go"

pytestmark = pytest.mark.timeout(PATIENCE)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """PYTHON is for the script that generates: its grpcio-tools are protoc."""
    return go_environment() | {"PYTHON": sys.executable}


@pytest.fixture(scope="session")
def program(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "digits"
    run(["go", "build", "-o", built, "."], HOME, environment)
    return built


def test_the_program_s_answers_are_right(samples_over_each_transport: Server, program: Path) -> None:
    printed = run([program, samples_over_each_transport.grpc], HOME)
    assert [promise for promise in PROMISED if promise not in printed] == []


def test_without_a_server_the_program_fails(program: Path) -> None:
    assert run([program, NOWHERE], HOME, code=1) == ""


def test_the_program_is_formatted_and_vetted(environment: dict[str, str]) -> None:
    assert run(["gofmt", "-l", "main.go"], HOME, environment) == ""
    run(["go", "vet", "."], HOME, environment)


def test_the_generated_code_is_what_protos_compile_to(environment: dict[str, str], tmp_path: Path) -> None:
    run([HOME / "generate.sh", tmp_path], HOME, environment)
    fresh = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert fresh
    assert fresh == {file.name: file.read_bytes() for file in (HOME / "inference").iterdir()}
