"""The installer of perf_analyzer where its parts cannot be had: it says so, and leaves nothing behind."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment in which an earlier run was killed."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/perf_analyzer.partial").mkdir()
    (tmp_path / "venv/perf_analyzer.partial/perf_analyzer").write_text("half a program")
    return tmp_path / "venv"


def install(venv: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.tools.install_perf_analyzer", "--venv", str(venv)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=50, check=False
    )


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_an_index_out_of_reach_is_said_and_is_no_error(venv: Path, tmp_path: Path) -> None:
    done = install(venv, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout == ""
    assert "perf_analyzer is not installed" in done.stderr
    assert "tritonclient==2.51.0" in done.stderr
    assert files(venv) == ["bin"]


def test_a_download_that_is_not_the_pinned_one_is_an_error(venv: Path, tmp_path: Path) -> None:
    forged = tmp_path / "tritonclient-2.51.0-py3-none-any.whl"
    with zipfile.ZipFile(forged, "w") as archive:
        archive.writestr("tritonclient-2.51.0.dist-info/METADATA", "Name: tritonclient\nVersion: 2.51.0\n")
        archive.writestr("tritonclient-2.51.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("tritonclient-2.51.0.data/data/bin/perf_analyzer", "#!/bin/sh\nexit 0\n")
    done = install(venv, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert f"{forged.name} has the SHA-256 " in done.stderr
    assert files(venv) == ["bin"]


def test_an_environment_that_does_not_exist_is_named_and_not_created(tmp_path: Path) -> None:
    done = install(tmp_path / "none")
    assert done.returncode == 0
    assert f"{tmp_path / 'none'} is no virtual environment" in done.stderr
    assert files(tmp_path) == []
