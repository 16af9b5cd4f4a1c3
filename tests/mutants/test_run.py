"""The judge of the mutants: a survivor, a patch that does not apply, and tests that do not run are told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mutants import run

TEST = """
from naiad import answer

def test_the_answer_is_known() -> None:
    assert answer() == 42
"""
PATCH = """{sentence}
# tests: {tests}
--- a/server/naiad/__init__.py
+++ b/server/naiad/__init__.py
@@ -1,2 +1,2 @@
-def {old}():
+def {new}():
     return 42
"""


@pytest.fixture(autouse=True)
def without_the_settings_of_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pytest that a copy runs is another one."""
    for name in [name for name in os.environ if name.startswith(("COV_", "COVERAGE_", "PYTEST_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with a package `naiad` of one function, its test, and something that git ignores."""
    files = {
        "server/naiad/__init__.py": "def answer():\n    return 42\n",
        "tests/test_answer.py": TEST,
        "ignored.txt": "",
        ".gitignore": "ignored.txt\n.venv\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{run.ROOT}/.venv/bin/python" "$@"\n')
    python.chmod(0o755)
    command = ["git", "init", "--quiet"]
    subprocess.run(command, cwd=tmp_path, check=True)
    return tmp_path


@pytest.fixture
def judged(tree: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Judge one patch; gives the exit code and what was printed."""

    def judge(
        sentence: str = "It breaks.", tests: str = "tests", old: str = "answer", new: str = "reply"
    ) -> tuple[int, str]:
        patches = tree / "patches"
        patches.mkdir()
        text = PATCH.format(sentence=sentence, tests=tests, old=old, new=new)
        (patches / "one.patch").write_text(text)
        return run.main([], tree, patches), capsys.readouterr().out

    return judge


def test_a_mutant_that_its_test_notices_is_killed(judged: Callable[..., tuple[int, str]], tree: Path) -> None:
    (tree / "tests/test_answer.py").write_text(TEST.replace("from naiad import answer", "from naiad import *"))
    code, printed = judged()
    assert code == 0
    assert "killed" in printed
    assert "tests/test_answer.py::test_the_answer_is_known" in printed
    assert "1 of 1 mutants were killed" in printed


def test_a_mutant_that_no_test_notices_survives(judged: Callable[..., tuple[int, str]], tree: Path) -> None:
    (tree / "tests/test_answer.py").write_text("def test_nothing() -> None: ...\n")
    code, printed = judged(sentence="The answer is lost.")
    assert code == 1
    assert "SURVIVED" in printed
    assert "The answer is lost." in printed


def test_a_patch_for_other_code_is_told(judged: Callable[..., tuple[int, str]]) -> None:
    code, printed = judged(old="question")
    assert code == 1
    assert "DOES NOT APPLY" in printed


def test_tests_that_cannot_even_be_collected_have_noticed_nothing(judged: Callable[..., tuple[int, str]]) -> None:
    code, printed = judged()
    assert code == 1
    assert "NOT TESTED" in printed


def test_tests_that_fail_without_a_mutant_judge_nothing(judged: Callable[..., tuple[int, str]], tree: Path) -> None:
    (tree / "tests/test_answer.py").write_text(TEST.replace("42", "41"))
    code, printed = judged()
    assert code == 1
    assert "the tests do not pass without a mutant" in printed


def test_the_copy_runs_and_not_what_is_installed(tree: Path) -> None:
    with run.copied(tree) as copy:
        assert copy.run("-c", "import naiad; print(naiad.answer())").stdout == "42\n"
        found = copy.run("-c", "import os; print(sorted(os.listdir()))").stdout
    assert "ignored.txt" not in found


def test_a_copy_that_would_not_run_is_an_error(tree: Path) -> None:
    (tree / "server/naiad/__init__.py").unlink()
    with pytest.raises(RuntimeError, match="expected naiad to be imported from"), run.copied(tree):
        pass


def test_every_patch_says_what_it_breaks_and_names_tests_that_exist() -> None:
    mutants = [run.read(patch) for patch in run.PATCHES.glob("*.patch")]
    assert len(mutants) > 20
    for mutant in mutants:
        for test in mutant.tests:
            path, _, name = test.partition("::")
            assert f"def {name}" in (run.ROOT / path).read_text(), mutant.name


def test_a_patch_without_a_head_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bare.patch").write_text("--- a/x\n+++ b/x\n")
    with pytest.raises(ValueError, match=r"bare\.patch: expected a sentence and a line '# tests: \.\.\.'"):
        run.read(tmp_path / "bare.patch")


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["no such mutant"]) == 1
    assert "there is no such mutant" in capsys.readouterr().out


def test_the_list_says_what_each_mutant_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list", "queue-newest"]) == 0
    assert capsys.readouterr().out.split(maxsplit=1) == [
        "queue-newest-first",
        "The newest request of a shape goes first.\n",
    ]
