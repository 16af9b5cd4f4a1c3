"""What `naiad serve --help` prints, and what printing it costs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from naiad.settings import Settings
from naiad.settings.fields import GROUPS
from naiad.settings.help import WIDTH, help_text
from naiad.settings.model import FLAGS
from naiad.settings.tritonserver import ALIASES

HEAVY = {"grpc", "numpy", "onnxruntime", "prometheus_client", "starlette", "torch", "uvicorn", "google.protobuf"}


def test_every_setting_stands_under_its_group_with_what_it_takes_and_its_default() -> None:
    text = help_text()
    for group in GROUPS:
        assert f"\n{group.heading}:\n" in text
    for name in Settings.model_fields:
        assert len(re.findall(rf"^  --{name.replace('_', '-')} \S", text, re.MULTILINE)) == 1
    assert "--grpc-port PORT\n      Port to serve gRPC on; 0 takes any free one. Default: 8001." in text


def test_every_other_flag_of_tritonserver_is_named_once() -> None:
    words = help_text().partition("Known from tritonserver:")[2].split()
    others = [f"--{name}" for name, flag in FLAGS.items() if not flag.setting]
    assert sorted(word for word in words if word.startswith("--")) == sorted(others)


def test_the_further_names_of_a_setting_stand_beside_it() -> None:
    for alias in ALIASES:
        assert f"--{alias} is the same." in " ".join(help_text().split())


def test_the_help_fits_into_a_terminal() -> None:
    assert WIDTH <= 100
    assert max(map(len, help_text().splitlines())) <= WIDTH


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_asking_for_help_starts_nothing_and_imports_nothing_that_serves(flag: str) -> None:
    program = (
        "import sys; from naiad.cli import main; code = main(['serve', '--model-repository=/nowhere', sys.argv[1]]); "
        "print(code, *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, flag], capture_output=True, text=True, check=True, timeout=50)
    code, *modules = done.stderr.split()
    assert (done.stdout, code) == (help_text(), "0")
    assert not HEAVY & set(modules)
