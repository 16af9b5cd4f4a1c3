"""The crate has the version of the package, and its own tests pass."""

import tomllib
from pathlib import Path

import pytest

import naiad
from tests.packaging.builds import PATIENCE
from tests.packaging.crate import CRATE, cargo_test


def test_the_crate_its_lock_and_the_package_have_the_same_version() -> None:
    manifest = tomllib.loads((CRATE / "Cargo.toml").read_text())["package"]
    locked = tomllib.loads((CRATE / "Cargo.lock").read_text())["package"]
    (own,) = (package["version"] for package in locked if package["name"] == manifest["name"])
    assert (manifest["version"], own) == (naiad.__version__, naiad.__version__)


@pytest.mark.timeout(PATIENCE)
def test_the_tests_of_the_crate_pass(tmp_path: Path) -> None:
    assert " passed" in cargo_test(tmp_path)
