"""The program in Java gets the right answers from a real server, and fails when it does not."""

from collections.abc import Callable

import pytest

from tests.clients.toolchains import (
    CLIENTS,
    JAVA,
    NOWHERE,
    PATIENCE,
    PROMISED,
    building,
    require_toolchain,
    run,
)
from tests.e2e.server import Server

require_toolchain(JAVA)

HOME = CLIENTS / "java"

pytestmark = pytest.mark.timeout(2 * PATIENCE)

Program = Callable[[str, int], str]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Build the program, and return what runs it with an address and expects an exit code."""
    target = tmp_path_factory.mktemp("java")

    def maven(*arguments: str, code: int = 0) -> str:
        with building(JAVA) as built:
            options = ["--batch-mode", "--quiet", "--no-transfer-progress"]
            properties = [f"-Dmaven.repo.local={built / 'repository'}", f"-Dnaiad.build={target}"]
            return run(["mvn", *options, *properties, *arguments], HOME, code=code)

    maven("compile")
    return lambda address, code: maven("exec:java", f"-Dexec.args={address}", code=code)


def test_the_program_s_answers_are_right(samples_over_each_transport: Server, program: Program) -> None:
    printed = program(samples_over_each_transport.grpc, 0)
    assert [promise for promise in PROMISED if promise not in printed] == []


def test_without_a_server_the_program_fails(program: Program) -> None:
    printed = program(NOWHERE, 1)
    assert [promise for promise in PROMISED if promise in printed] == []
