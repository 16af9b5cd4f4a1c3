"""The installer of Prometheus: what it installs runs, and where the package cannot be had nothing is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import require

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path(sys.executable).with_name("prometheus")
NO_SOURCES = 'Dir::Etc::SourceList "/dev/null"; Dir::Etc::SourceParts "/dev/null";\n'


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment in which an earlier run was killed."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/prometheus.partial").mkdir()
    (tmp_path / "venv/prometheus.partial/prometheus").write_text("half a program")
    return tmp_path / "venv"


def install(venv: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.tools.install_prometheus", "--venv", str(venv)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=50, check=False
    )


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_a_system_without_apt_is_said_and_is_no_error(venv: Path, tmp_path: Path) -> None:
    done = install(venv, PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "")
    assert "prometheus is not installed: it needs apt-get" in done.stderr
    assert files(venv) == ["bin"]


def test_a_package_out_of_reach_is_said_and_is_no_error(venv: Path, tmp_path: Path) -> None:
    require("prometheus", INSTALLED.exists(), "prometheus is not in .venv: `make dev` says why")
    (tmp_path / "apt.conf").write_text(NO_SOURCES)
    done = install(venv, APT_CONFIG=str(tmp_path / "apt.conf"))
    assert (done.returncode, done.stdout) == (0, "")
    assert "prometheus is not installed: " in done.stderr
    assert "download prometheus` ended with 100" in done.stderr
    assert files(venv) == ["bin"]


@pytest.mark.parametrize("command", ["prometheus", "promtool"])
def test_what_is_installed_runs_from_anywhere(command: str, tmp_path: Path) -> None:
    require("prometheus", INSTALLED.exists(), "prometheus is not in .venv: `make dev` says why")
    program = [str(INSTALLED.with_name(command)), "--version"]
    printed = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=True).stdout
    assert printed.startswith(f"{command}, version 2.")
