"""What the package's README says holds, and what is installed of it is complete."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import SAMPLES
from tests.e2e.readme import Reader, blocks

ROOT = SAMPLES.parent
HOME = ROOT / "clients/python"
READMES = [ROOT / "clients/README.md", HOME / "README.md"]
PROMISED = (
    "digit 0\n",
    "language de\n",
    "sum 4950.0\n",
    "NOT_FOUND: Request for unknown model: 'digit'",
    "input 'image' of model 'digits': expected FP32",
    "True True True SERVING\n",
    "ServerMetadata(name='naiad'",
)


@pytest.mark.timeout(180)
def test_everything_in_the_readme_runs_and_prints_what_it_promises() -> None:
    found = blocks((HOME / "README.md").read_text())
    assert [block.language for block in found] == ["bash", *["python"] * (len(found) - 1)]
    with Reader(ROOT) as reader:
        printed = "".join(reader.follow(block) for block in found)
    assert [promise for promise in PROMISED if promise not in printed] == []
    assert printed.count("sum 4950.0\n") == 2


@pytest.mark.parametrize("readme", READMES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_that_a_readme_links_to_is_there(readme: Path) -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", readme.read_text())
    assert linked
    assert [name for name in linked if not (readme.parent / name).exists()] == []


def test_a_wheel_has_the_types_the_generated_modules_and_the_dependencies(tmp_path: Path) -> None:
    shutil.copytree(HOME, tmp_path / "source", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), "source"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("naiad_client-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as contents:
        names = {name for name in contents.namelist() if not name.split("/")[0].endswith(".dist-info")}
        (metadata,) = (contents.read(name).decode() for name in contents.namelist() if name.endswith("/METADATA"))
    source = HOME / "src"
    files = {
        str(file.relative_to(source)) for file in (source / "naiad_client").rglob("*.py*") if file.suffix != ".pyc"
    }
    assert names == files | {"naiad_client/py.typed"}
    required = re.findall(r"^Requires-Dist: ([\w-]+)", metadata, re.MULTILINE)
    assert sorted(required) == ["grpcio", "numpy", "protobuf"]
