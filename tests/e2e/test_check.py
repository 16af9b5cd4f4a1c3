"""`naiad check`: what would be served, what is wrong, and an exit code that a script can go by."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import CANNOT_START
from tests.e2e.conftest import SAMPLES
from tests.e2e.models import identity
from tests.e2e.server import PATIENCE, command
from tests.models.build import add_sub


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command("check", *arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def faulty(directory: Path) -> Path:
    """Write one sound model and one with a mistake on the third line of its config."""
    identity(directory, "sound")
    add_sub(directory / "wrong" / "1" / "model.onnx")
    (directory / "wrong" / "config.pbtxt").write_text('backend: "onnxruntime"\n\nmax_batch_sise: 8\n')
    return directory


def test_a_sound_repository_is_described_and_passes() -> None:
    done = check(str(SAMPLES))
    assert done.returncode == 0, done.stdout
    for word in ("digits", "echo", "language", "onnxruntime", "identity"):
        assert word in done.stdout


def test_a_mistake_is_named_with_file_and_line_and_fails(tmp_path: Path) -> None:
    done = check(str(faulty(tmp_path)))
    assert done.returncode == 1
    assert f"{tmp_path / 'wrong' / 'config.pbtxt'}:3" in done.stdout.replace("\n", "")
    assert "max_batch_size" in done.stdout


def test_as_json_it_says_the_same_for_programs(tmp_path: Path) -> None:
    done = check("--json", str(faulty(tmp_path)))
    assert done.returncode == 1
    report = json.loads(done.stdout)
    models: dict[str, Any] = {model["name"]: model for model in report["models"]}
    assert not report["healthy"]
    assert (len(models["sound"]["versions"]), models["sound"]["findings"]) == (1, [])
    (finding,) = models["wrong"]["findings"]
    assert (finding["severity"], finding["place"]) == ("error", f"{tmp_path / 'wrong' / 'config.pbtxt'}:3:1")


def test_as_json_a_sound_repository_passes() -> None:
    done = check(str(SAMPLES), "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    versions = {model["name"]: [each["version"] for each in model["versions"]] for model in report["models"]}
    assert report["healthy"]
    assert versions == {"digits": [1, 2], "echo": [1], "language": [1]}


def test_a_fleet_ends_in_a_count_by_backend(tmp_path: Path) -> None:
    for number in range(21):
        identity(tmp_path, f"sound{number}")
    faulty(tmp_path)
    shown = check(str(tmp_path)).stdout
    assert "sound1" not in shown.partition("runs ")[0]
    assert "to do: Write 'max_batch_size'" in shown
    assert shown.splitlines()[-1] == "23 models, 22 versions to serve, 1 error, 0 warnings"
    assert "sound1  " in check("--all", str(tmp_path)).stdout
    summary = check("--summary", str(tmp_path))
    assert summary.returncode == 1
    assert [line.split() for line in summary.stdout.splitlines()[1:4]] == [
        ["identity", "22", "-", "-", "-", "-", "-", "-", "-"],
        ["(unknown)", "-", "-", "-", "-", "-", "1", "-", "-"],
        ["all", "22", "-", "-", "-", "-", "1", "-", "-"],
    ]


def test_a_repository_that_is_not_there_is_a_finding_like_others(tmp_path: Path) -> None:
    done = check(str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "nowhere" in done.stdout


@pytest.mark.parametrize(
    ("repository", "told"),
    [("", "got '', expected a directory of models"), ("s3://bucket/models", "got 's3://bucket/models', expected a")],
)
def test_what_is_no_directory_at_all_is_refused_as_the_server_does(repository: str, told: str) -> None:
    done = check(repository)
    assert done.returncode == CANNOT_START
    (line,) = done.stderr.splitlines()
    assert line.startswith("naiad check: ")
    assert told in line


def served(*arguments: str) -> dict[str, list[int]]:
    """The max_batch_size of each version that would be served, by model."""
    models = json.loads(check("--json", *arguments).stdout)["models"]
    return {model["name"]: [version["max_batch_size"] for version in model["versions"]] for model in models}


def test_it_can_be_asked_what_a_server_with_other_flags_would_serve(tmp_path: Path) -> None:
    add_sub(tmp_path / "bare" / "1" / "model.onnx")
    named = identity(tmp_path, "echo") / "echo" / "configs" / "large.pbtxt"
    named.parent.mkdir()
    named.write_text((tmp_path / "echo" / "config.pbtxt").read_text().replace("batch_size: 1", "batch_size: 64"))
    root = str(tmp_path)
    assert served(root) == {"bare": [4], "echo": [1]}
    assert served(root, "--backend-config=onnxruntime,default-max-batch-size=16") == {"bare": [16], "echo": [1]}
    assert served(root, "--model-config-name", "large") == {"bare": [4], "echo": [64]}
    for flag in ("--disable-auto-complete-config", "--strict-model-config"):
        assert served(flag, root) == {"bare": [], "echo": [1]}


def test_flags_that_a_server_would_refuse_are_refused(tmp_path: Path) -> None:
    done = check(str(tmp_path), "--backend-config=onnxruntime,intra_op_thread_count=many")
    assert done.returncode == CANNOT_START
    assert done.stderr.startswith("naiad check: --backend-config: onnxruntime,intra_op_thread_count: got 'many'")


def test_several_repositories_are_checked_together(tmp_path: Path) -> None:
    done = check(str(SAMPLES), str(faulty(tmp_path)))
    assert done.returncode == 1
    assert "digits" in done.stdout
    assert "sound" in done.stdout


def test_without_a_repository_it_says_what_it_wants() -> None:
    done = check()
    assert done.returncode != 0
    assert "REPOSITOR" in done.stderr.upper()
