"""The Python interpreters of this machine that a wheel is tried on: by name in PATH, and what pyenv has."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")
SECONDS = 30
ASK = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


def find(versions: Sequence[str] = VERSIONS) -> dict[str, Path]:
    """Return one interpreter for each of these versions that is here and can make environments."""
    found: dict[str, Path] = {}
    for version in versions:
        for candidate in candidates(version):
            if runs(candidate) == version:
                found[version] = candidate
                break
    return found


def candidates(version: str) -> Iterator[Path]:
    """Yield what may be an interpreter of this version, the one that runs us first."""
    yield Path(sys.executable)
    if named := shutil.which(f"python{version}"):
        yield Path(named)
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
        yield from sorted(Path(root.strip()).glob(f"versions/{version}.*/bin/python"), reverse=True)


def runs(python: Path) -> str:
    """Return the version that it says it is, or nothing: a shim of pyenv runs only for the versions that are chosen."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", ASK], capture_output=True, text=True, timeout=SECONDS, check=False, env=environment
    )
    return done.stdout.strip() if done.returncode == 0 else ""
