"""What a build gets of the machine, and what is said where it cannot run."""

import os
from pathlib import Path

import pytest

from tests.image.container import specification
from tests.image.machine import NotHere, pip_mounts, prepare


def test_without_root_nothing_is_installed_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said: list[str] = []
    with pytest.raises(NotHere, match=r"need root.*docker build --target cpu"):
        prepare(said.append)
    assert said == []


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pip.conf, in a directory of its own, that is the only configuration pip finds."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    written = tmp_path / "written.conf"
    written.write_text(
        "[global]\nindex-url = https://packages.example/simple\ncert = /somewhere/own.crt\n"
        "extra-index-url =\n    https://one.example\n    https://two.example\nfind-links = /opt/wheels\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(written))
    return tmp_path


def test_a_build_uses_the_machine_s_index_and_certificates_and_none_of_its_other_paths(configured: Path) -> None:
    mounts = pip_mounts(configured)
    assert mounts[Path("/somewhere")] == "/etc/ssl/certs"
    (made,) = (source for source, inside in mounts.items() if inside == "/etc/pip.conf")
    text = made.read_text()
    assert "index-url = https://packages.example/simple\n" in text
    assert "cert = /etc/ssl/certs/own.crt\n" in text
    assert "    https://one.example\n    https://two.example\n" in text
    assert "/opt/wheels" not in text


def test_the_environment_wins_over_pip_s_file(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    (made,) = (source for source, inside in pip_mounts(configured).items() if inside == "/etc/pip.conf")
    assert "index-url = https://other.example/simple\n" in made.read_text().splitlines(keepends=True)


def test_a_container_has_its_image_s_user_and_environment_no_capability_and_nothing_to_write_to() -> None:
    image = {"User": "7:8", "Entrypoint": ["init"], "Cmd": ["serve"], "Env": ["A=b"], "WorkingDir": "/w"}
    made = specification(image, Path("/files"), None, {Path("/here"): "/models"})
    process = made["process"]
    assert (process["user"], process["args"]) == ({"uid": 7, "gid": 8}, ["init", "serve"])
    assert (process["env"], process["cwd"]) == (["A=b"], "/w")
    assert process["noNewPrivileges"]
    assert not any(process["capabilities"].values())
    assert made["root"] == {"path": "/files", "readonly": True}
    assert {"destination": "/models", "type": "bind", "source": "/here", "options": ["rbind", "ro"]} in made["mounts"]
    assert specification(image, Path("/files"), ["check"], {})["process"]["args"] == ["init", "check"]
