"""What a benchmark fetches: where it cannot be had, that is said, and nothing half installed is taken for whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.servers import ROOT
from tests.tools.debian import NotHereError


def test_valgrind_needs_apt_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    command = [sys.executable, "-m", "benchmarks.install_valgrind", "--venv", str(tmp_path)]
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "valgrind is not installed: it needs apt-get" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["bin"]


def test_a_peer_out_of_reach_is_said_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "DIRECTORY", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for _ in range(2):
        with pytest.raises(NotHereError, match="no-such-server"):
            peers.python("nobody", ["no-such-server==1.0"])
    assert not (tmp_path / "nobody" / peers.STAMP).exists()


def test_a_peer_that_is_there_is_not_installed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "DIRECTORY", tmp_path)
    interpreter = peers.python("empty", ["pip"])
    marked = interpreter.with_name("marked")
    marked.touch()
    assert peers.python("empty", ["pip"]) == interpreter
    assert marked.exists()
