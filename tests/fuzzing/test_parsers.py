"""All that reads what peers send, fuzzed where it is: in the crate (server/native/src/fuzz.rs)."""

import re
from pathlib import Path

import pytest

from tests.packaging.builds import PATIENCE
from tests.packaging.crate import cargo_test

SHORT, LONG = 5, 600
"""Seconds of fuzzing."""


@pytest.mark.timeout(PATIENCE + SHORT)
def test_no_parser_fails_for_some_seconds(tmp_path: Path) -> None:
    assert inputs(tmp_path, SHORT) > 0


@pytest.mark.drill
@pytest.mark.timeout(PATIENCE + LONG)
def test_no_parser_fails_for_minutes(tmp_path: Path) -> None:
    assert inputs(tmp_path, LONG) > inputs(tmp_path, SHORT)


def inputs(directory: Path, seconds: int) -> int:
    """Fuzz for so long; return how many inputs each target has passed."""
    said = cargo_test(
        directory,
        "fuzz::every_target_passes_for_a_while",
        "--exact",
        "--ignored",
        "--nocapture",
        FUZZ_SECONDS=str(seconds),
    )
    found = re.search(r"(\d+) inputs for each of (\d+) targets", said)
    assert found is not None, said
    assert int(found.group(2)) > 0
    return int(found.group(1))
