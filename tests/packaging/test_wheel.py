"""What `make wheel` decides: which interpreters a wheel is tried on, and whether its tag is true."""

import sys
from pathlib import Path

import pytest

from tests.packaging import pythons
from tests.packaging.wheel import disagreement

NAME = "naiad-0.1.0-cp311-abi3-manylinux_2_17_x86_64.whl"
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def shown(tag: str, **external: str) -> dict[str, object]:
    return {"overall_tag": tag, "versioned_symbols": {"libc.so.6": ["GLIBC_2.34"]}, "external_libs": external}


def test_a_tag_that_is_what_was_found_is_agreed_with() -> None:
    assert disagreement(NAME, shown("manylinux_2_17_x86_64")) == ""


@pytest.mark.parametrize(
    ("name", "found", "complaint"),
    [
        (NAME, shown("manylinux_2_34_x86_64"), "says manylinux_2_17_x86_64, and is manylinux_2_34_x86_64.*GLIBC_2.34"),
        (NAME, shown("manylinux_2_17_x86_64", **{"libz.so.1": "/lib/libz.so.1"}), "libraries that it has not.*libz"),
        (NAME.replace("abi3", "cp311"), shown("manylinux_2_17_x86_64"), "expected a wheel for Python's limited API"),
        ("naiad-0.1.0-py3-none-any.whl", {"pure": True}, "expected a wheel for Python's limited API"),
    ],
)
def test_a_tag_that_is_not_true_is_complained_about(name: str, found: dict[str, object], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        assert disagreement(name, found) == ""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_interpreters_are_found_by_name_and_among_those_of_pyenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    named = script(programs / "python9.8", "echo 9.8")
    script(programs / "python9.9", "echo a shim of a version that is not chosen >&2; exit 127")
    script(programs / "pyenv", f"echo {tmp_path}")
    kept = script(tmp_path / "versions/9.9.2/bin/python", "echo 9.9")
    monkeypatch.setenv("PATH", str(programs))
    assert pythons.find(("9.7", "9.8", "9.9")) == {"9.8": named, "9.9": kept}


def test_the_interpreter_that_runs_us_is_taken_for_its_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert pythons.find((OWN,)) == {OWN: Path(sys.executable)}
