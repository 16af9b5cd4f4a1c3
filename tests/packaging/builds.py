"""Naiad as a package, built by tests: from a copy of the tree, so that nothing that was built there gets into it.

- What cargo builds for tests is kept in the environment, so that other crates are compiled once; without
  optimisation, which takes a third of the time.
- What a build says is what the build backend says; pip shows it with `--verbose` only.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.requirements import require

ROOT = Path(__file__).resolve().parents[2]
PACKED = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py", "server")
LEFT = shutil.ignore_patterns("target", "__pycache__", "*.egg-info", "*.so")
TARGET = Path(sys.prefix) / "packaging/target"
PATIENCE = 400
"""Seconds that a build of the crate may take on a machine that has built nothing yet, beside other tests."""


class Built(NamedTuple):
    """`log` is what was said on stderr; `code` the exit code. There is no file where the build failed."""

    file: Path | None
    log: str
    code: int

    @property
    def wheel(self) -> Path:
        assert self.file is not None, self.log
        return self.file

    @property
    def tag(self) -> str:
        """What comes after name and version in the name of a wheel."""
        return "-".join(self.wheel.stem.split("-")[-3:])

    @property
    def names(self) -> list[str]:
        """The files in a wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.namelist()

    def unpacked(self, directory: Path) -> Path:
        with zipfile.ZipFile(self.wheel) as archive:
            archive.extractall(directory)
        return directory


def copied(directory: Path) -> Path:
    """Copy what packages are made of; gives the copy."""
    tree = directory / "tree"
    tree.mkdir()
    for name in PACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=LEFT)
        else:
            shutil.copy2(ROOT / name, tree / name)
    return tree


def build(tree: Path, kind: str, environment: Mapping[str, str] = os.environ) -> Built:
    """Build what the build backend calls `kind` (sdist, wheel, editable) in this very environment."""
    made = tree.parent / f"made-{kind}"
    made.mkdir(exist_ok=True)
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(made)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Built(next(made.iterdir(), None), done.stderr, done.returncode)


def with_cargo() -> dict[str, str]:
    """Return the environment of a build with the native part, which is then required."""
    require("cargo", shutil.which("cargo") is not None, "no cargo in PATH: https://rustup.rs")
    more = {"BUILD_NAIAD_NATIVE": "required", "SETUPTOOLS_RUST_CARGO_PROFILE": "dev", "CARGO_TARGET_DIR": str(TARGET)}
    return os.environ | more


def with_programs(directory: Path, **programs: str) -> dict[str, str]:
    """Return an environment in whose PATH are only these, shell scripts by name; they are written to the directory."""
    directory.mkdir()
    for name, script in programs.items():
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "BUILD_NAIAD_NATIVE"}
    return environment | {"PATH": str(directory)}
