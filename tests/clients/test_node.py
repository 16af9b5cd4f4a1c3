"""The program in Node.js gets the right answers from a real server, and fails when it does not."""

import hashlib
import os
import shutil

import pytest

from tests.clients.toolchains import (
    CLIENTS,
    NODE,
    NOWHERE,
    PATIENCE,
    PROMISED,
    building,
    require_toolchain,
    run,
)
from tests.e2e.server import Server

require_toolchain(NODE)

HOME = CLIENTS / "node"
FILES = ("package.json", "package-lock.json")

pytestmark = pytest.mark.timeout(PATIENCE)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Where node finds the packages of the lock file; they are fetched once for each content of it."""
    digest = hashlib.sha256(b"".join((HOME / name).read_bytes() for name in FILES)).hexdigest()[:16]
    with building(NODE) as built:
        packages = built / digest / "node_modules"
        if not (packages / ".complete").exists():
            packages.parent.mkdir(exist_ok=True)
            for name in FILES:
                shutil.copy2(HOME / name, packages.parent)
            run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], packages.parent)
            (packages / ".complete").touch()
    return os.environ | {"NODE_PATH": str(packages)}


def test_the_program_s_answers_are_right(samples_over_each_transport: Server, environment: dict[str, str]) -> None:
    printed = run(["node", "digits.js", samples_over_each_transport.grpc], HOME, environment)
    assert [promise for promise in PROMISED if promise not in printed] == []


def test_without_a_server_the_program_fails(environment: dict[str, str]) -> None:
    assert run(["node", "digits.js", NOWHERE], HOME, environment, code=1) == ""
