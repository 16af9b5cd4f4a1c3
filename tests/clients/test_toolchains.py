"""What is missing of a toolchain is told with its reason."""

import pytest

from tests.clients.toolchains import GO, JAVA, NODE, Toolchain, missing
from tests.requirements import NAMES


def test_programs_that_are_not_there_are_named() -> None:
    absent = Toolchain("node", ["sh", "no-such-node", "no-such-npm"], ["sh"], (1,))
    assert missing(absent) == "no-such-node, no-such-npm not found in PATH"


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("go1.26.8", ""),
        ("go2", ""),
        ("go1.26", ""),
        ("go1.9.7", "expected go 1.26 or newer, got go1.9.7"),
        ("devel", "expected go 1.26 or newer, got devel"),
    ],
)
def test_one_that_is_too_old_is_missing(printed: str, reason: str) -> None:
    assert missing(Toolchain("go", ["echo"], ["echo", printed], (1, 26))) == reason


def test_each_can_be_required() -> None:
    assert {toolchain.name for toolchain in (GO, JAVA, NODE)} <= NAMES
