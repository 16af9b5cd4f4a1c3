"""Every mistake is told with its place, what was found, what was expected and what to do. With the real backends."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from naiad import backends
from naiad.backends import BackendOptions
from naiad.core.problems import Problem, Severity
from naiad.repository import repositories, unreadable
from naiad.repository.check import inspect
from naiad.repository.loading import Backends
from naiad.repository.pbtxt import MAX_TOLD
from naiad.repository.render import render
from naiad.repository.snapshot import Snapshot
from tests.models import build
from tests.repository.files import lay
from tests.repository.mistakes import GOOD, LINEAR, MISTAKES, Mistake, plant

REAL = Backends(lambda name: backends.create(name, BackendOptions(cpu_count=2)), lambda _: ())


def shown_lines(*roots: Path) -> list[str]:
    """The lines of a check's text; a finding and what to do about it are two after each other."""
    return [line.strip() for line in render(inspect(roots, REAL)).splitlines()]


def told(*roots: Path) -> list[Problem]:
    """Every problem of repositories, warnings too."""
    inspection = inspect(roots, REAL)
    shown = render(inspection)
    found = [finding for model in inspection.models for finding in model.findings] + list(inspection.findings)
    assert all(finding.problem.message in shown for finding in found)
    assert all(f"to do: {finding.problem.remedy}" in shown for finding in found)
    return [finding.problem for finding in found]


def test_a_mistake_that_hides_no_other_is_told_with_the_others(tmp_path: Path) -> None:
    text = GOOD.replace("max_batch_size", "max_batchsize").replace("TYPE_FP32", "FP32", 1).replace("[ 4 ]", "[ x ]")
    lay(
        tmp_path,
        {"m/config.pbtxt": f'{text}foo {{ a: [ -1, 2 ] b < c: "d" "e" > }}\nname: 5', "m/1/model.onnx": LINEAR},
    )
    assert [problem.found for problem in told(tmp_path)] == ["'max_batchsize'", "'FP32'", "'x'", "'foo'", "'5'"]


def test_what_keeps_the_rest_from_being_read_ends_what_is_told(tmp_path: Path) -> None:
    lay(tmp_path, {"m/config.pbtxt": "max_batchsize: 8\nname: 5 }\nfoo: 1", "m/1/model.onnx": LINEAR})
    assert [problem.found for problem in told(tmp_path)] == ["'max_batchsize'", "'5'", "'}'"]


@pytest.mark.parametrize("rest", ["", "= 8", ": [ 1", ": }", ": { ]", ': "x'])
def test_an_unknown_field_without_a_whole_value_is_the_last_that_is_told(tmp_path: Path, rest: str) -> None:
    lay(tmp_path, {"m/config.pbtxt": f"max_batchsize{rest}", "m/1/model.onnx": LINEAR})
    assert [problem.remedy for problem in told(tmp_path)] == ["Write 'max_batch_size'"]


def test_of_a_text_full_of_mistakes_a_part_is_told(tmp_path: Path) -> None:
    lay(tmp_path, {"m/config.pbtxt": "foo: 1\n" * 1000, "m/1/model.onnx": LINEAR})
    assert len(told(tmp_path)) == MAX_TOLD


def test_a_value_that_a_rule_forbids_does_not_hide_a_version_that_is_not_there(tmp_path: Path) -> None:
    text = GOOD.replace("[ 16 ]", "[ 0 ]") + "version_policy { specific { versions: 7 } }"
    lay(tmp_path, {"m/config.pbtxt": text, "m/1/model.onnx": LINEAR})
    fields = {problem.field for problem in told(tmp_path)}
    assert fields == {"input[0].dims[0]", "version_policy", "version_policy.specific"}


def test_an_input_of_a_misspelt_name_is_not_missed_too(tmp_path: Path) -> None:
    lay(tmp_path, {"m/config.pbtxt": GOOD.replace("INPUT0", "INPUT0 "), "m/1/model.onnx": LINEAR})
    assert [problem.remedy for problem in told(tmp_path)] == ["Write 'INPUT0'"]


def is_told(row: Mistake, told: tuple[str, str]) -> bool:
    """Whether a finding and what to do about it are those of a mistake, as far as no directory has to be known."""
    remedy = row.remedy.partition("{")[0]
    return row.found.partition("{")[0] in told[0] and remedy in told[1]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_place_what_was_found_what_was_expected_and_what_to_do(
    tmp_path: Path, mistake: str
) -> None:
    row, directory = MISTAKES[mistake], plant(tmp_path, mistake)

    def here(text: str) -> str:
        return text.replace("{model}", str(directory)).replace("{name}", directory.name)

    wanted = Severity.WARNING if row.warning else Severity.ERROR
    place = str(directory / row.place) if row.place else str(directory)
    problems = told(tmp_path)
    (problem,) = [p for p in problems if p.place == place and p.severity is wanted and row.found in p.found] or problems
    assert problem.place == place
    assert here(row.found) in problem.found
    assert here(row.expected) in problem.expected
    assert here(row.remedy) in problem.remedy
    severity = "warning" if row.warning else "error"
    pairs = pairwise(shown_lines(tmp_path))
    (line, to_do) = next(pair for pair in pairs if pair[0].startswith(f"{severity}: {place}: ") and is_told(row, pair))
    assert here(row.expected) in line
    assert to_do.startswith("to do: ")
    inspection = inspect([tmp_path], REAL)
    assert inspection.healthy is row.warning
    assert bool(inspection.models[0].versions) is row.warning


def test_there_are_mistakes_of_every_kind() -> None:
    assert len(MISTAKES) >= 80


@pytest.mark.parametrize(
    "text",
    [GOOD.replace("\n", "\r\n"), GOOD.replace("  ", "\t"), "\ufeff" + GOOD, GOOD.replace("\n", " "),
     GOOD.replace("\n", ",\n").replace("{,", "{"), GOOD.replace('"', "'")],
    ids=["CRLF", "tabs", "BOM", "one line", "commas", "single quotes"],
)  # fmt: skip
def test_what_only_looks_like_a_mistake_is_none(tmp_path: Path, text: str) -> None:
    lay(tmp_path, {"m/config.pbtxt": text.encode(), "m/1/model.onnx": LINEAR})
    assert told(tmp_path) == []


def test_a_name_in_two_repositories_is_told_with_both(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    lay(tmp_path, {"one/m/1/model.onnx": LINEAR, "two/m/1/model.onnx": LINEAR})
    (problem,) = told(one, two)
    assert problem.found == f"'{one / 'm'}', '{two / 'm'}'"
    assert problem.remedy == "Remove or rename all but one of them"


@pytest.mark.parametrize(
    ("files", "give", "found", "remedy"),
    [
        ({"models": None}, "models", "an empty directory", "Put the first model there, as '{root}/NAME/1/model.onnx'"),
        ({"m/model.onnx": LINEAR}, "m", "model.onnx", "Move 'model.onnx' into a version directory: '{root}/NAME/1/"),
        ({"m/1/model.onnx": LINEAR}, "m/1", "model.onnx", "This is a version's directory: give the model's, '{above}'"),
    ],
)
def test_a_repository_without_models_says_what_to_give_instead(
    tmp_path: Path, files: dict[str, bytes | None], give: str, found: str, remedy: str
) -> None:
    root = lay(tmp_path, files) / give
    (problem,) = told(root)
    assert problem.severity is Severity.WARNING
    assert problem.place == str(root)
    assert problem.found == found
    assert problem.remedy.startswith(remedy.replace("{root}", str(root)).replace("{above}", str(root.parent)))


def test_a_repository_that_vanishes_while_it_is_looked_at_is_only_empty(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    (problem,) = repositories.problems([gone], Snapshot({}, {}, (gone,)))
    assert problem.found == "an empty directory"


def test_a_model_file_beside_the_models_is_told(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1/model.onnx": LINEAR, "resnet.onnx": LINEAR, "README.md": ""})
    (problem,) = told(tmp_path)
    assert (problem.severity, problem.place) == (Severity.WARNING, str(tmp_path / "resnet.onnx"))
    assert problem.remedy == f"Move it to '{tmp_path / 'resnet' / '1' / 'model.onnx'}', or remove it"


def test_an_empty_repository_beside_a_full_one_is_told_too(tmp_path: Path) -> None:
    lay(tmp_path, {"full/m/1/model.onnx": LINEAR, "empty": None})
    assert [problem.place for problem in told(tmp_path / "full", tmp_path / "empty")] == [str(tmp_path / "empty")]


@pytest.mark.parametrize(
    ("give", "found", "remedy"),
    [
        ("modles", "No such file or directory", "Did you mean '{root}/models'?"),
        ("elsewhere/entirely", "No such file or directory", "Create it, or give another: '{root}' exists"),
        ("file", "Not a directory", "Give the directory that holds the models"),
    ],
)
def test_a_repository_that_cannot_be_read_is_told_with_what_to_do(
    tmp_path: Path, give: str, found: str, remedy: str
) -> None:
    lay(tmp_path, {"models": None, "file": ""})
    (problem,) = told(tmp_path / give)
    assert problem.severity is Severity.ERROR
    assert (problem.place, problem.found) == (str(tmp_path / give), found)
    assert problem.remedy == remedy.replace("{root}", str(tmp_path))


def test_a_repository_that_everyone_can_write_to_is_told_once(tmp_path: Path) -> None:
    root = lay(tmp_path / "models", {f"{name}/1/model.onnx": LINEAR for name in "abc"})
    for path in (root, root / "a", root / "b" / "1" / "model.onnx"):
        path.chmod(0o777)
    (problem,) = told(root)
    assert (problem.place, problem.found, problem.severity) == (str(root), "mode 0777", Severity.WARNING)
    assert problem.remedy == f"Take the permission away: chmod -R o-w '{root}'"
    root.chmod(0o1777)
    assert [problem.found for problem in told(root)] == ["mode 1777"]
    root.chmod(0o775)
    assert [problem.place for problem in told(root)] == [str(root / "a"), str(root / "b" / "1" / "model.onnx")]


def test_a_single_models_directory_is_looked_at_whatever_stands_above(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1/model.onnx": LINEAR})
    tmp_path.chmod(0o777)
    assert told(tmp_path / "m") == []
    (tmp_path / "m" / "1").chmod(0o777)
    assert [problem.place for problem in told(tmp_path / "m")] == [str(tmp_path / "m" / "1")]
    (tmp_path / "m").chmod(0o777)
    assert [problem.place for problem in told(tmp_path / "m")] == [str(tmp_path / "m")]


def test_of_a_model_that_everyone_can_write_to_the_places_are_counted(tmp_path: Path) -> None:
    build.identity(tmp_path / "m" / "1" / "deep" / "model.onnx")
    lay(tmp_path, {"m/config.pbtxt": 'default_model_filename: "deep/model.onnx"'})
    for path in (tmp_path / "m" / "1", tmp_path / "m" / "1" / "deep", tmp_path / "m" / "config.pbtxt"):
        path.chmod(0o777)
    (problem,) = told(tmp_path)
    assert problem.place == str(tmp_path / "m" / "config.pbtxt")
    assert f"and to 2 more of '{tmp_path / 'm'}'" in problem.text


def test_a_repository_above_which_nothing_can_be_listed_has_no_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(_: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", forbid)
    problem = unreadable.of_repository(tmp_path / "x", FileNotFoundError(2, "No such file", str(tmp_path / "x")))
    assert problem.remedy == f"Create it, or give another: '{tmp_path}' exists"


def test_what_the_disk_does_not_give_is_told_as_the_disks_fault(tmp_path: Path) -> None:
    problem = unreadable.of_entry(tmp_path, OSError(5, "Input/output error"))
    assert problem.text == f"'{tmp_path}' cannot be read: Input/output error"
    assert problem.remedy == "Check the file system that it is on"


WITHOUT_PRIVILEGES = """
import ctypes, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: with them everything can be read
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
import os
os.execv(sys.executable, [sys.executable, "-m", "naiad", "check", *sys.argv[1:]])
"""


@pytest.mark.parametrize("forbidden", ["m", "m/1", "m/1/model.onnx", "m/config.pbtxt", "."])
def test_what_may_not_be_read_is_told_with_the_permission_that_is_missing(tmp_path: Path, forbidden: str) -> None:
    root = lay(tmp_path / "models", {"m/1/model.onnx": LINEAR, "m/config.pbtxt": GOOD})
    path = root / forbidden
    path.chmod(0)
    try:
        command = [sys.executable, "-c", WITHOUT_PRIVILEGES, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        path.chmod(0o755)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Permission denied" in done.stdout
    assert f"Let the user that serves (uid {os.geteuid()}) read it: chmod " in done.stdout
    assert f"'{path}'" in done.stdout
