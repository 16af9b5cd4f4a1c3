"""A settings file, and what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from naiad.settings import BadSettings, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "naiad.toml"


def parse(file: Path, text: str) -> Settings:
    file.write_text(text)
    return Settings.parse(["--config-file", str(file)], {})


def complaint(file: Path, text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        parse(file, text)
    return str(caught.value)


def test_keys_are_the_settings_with_hyphens_or_underscores(file: Path) -> None:
    settings = parse(
        file,
        """
        model-repository = ["/a", "/b"]
        backend_config = "onnxruntime,a=b"
        grpc-port = 9
        exit-timeout-secs = 1.5
        strict_readiness = true
        log-format = "json"
        """,
    )
    assert settings.model_repository == [Path("/a"), Path("/b")]
    assert settings.backend_config == ["onnxruntime,a=b"]
    assert (settings.grpc_port, settings.exit_timeout_secs) == (9, 1.5)
    assert (settings.strict_readiness, settings.log_format) == (True, "json")


def test_an_unknown_key_is_told_with_its_line_and_the_nearest_one(file: Path) -> None:
    line = complaint(file, "id = 'a'\n\n'grpc-prot' = 1\n")
    assert line == f"{file}:3: grpc-prot: there is no such setting; did you mean grpc-port?"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grpc-port = true", ":1: grpc-port: got 'true', expected a valid integer"),
        ("grpc-port = [1]", ":1: grpc-port: got a list, expected one value"),
        ("[id]\nname = 'x'", ":1: id: got a dict, expected a text, a number or a boolean"),
        ("id.name = 'x'", ":1: id: got a dict"),
        ("backend-config = [1979-05-27]", ":1: backend-config: got a date"),
        ("config-file = 'x'", ":1: config-file: a settings file cannot name another one"),
        ("allow-client-shm = true", ":1: allow-client-shm: got 'true', which cannot be honoured: shared"),
        ("[grpc]\nport = 1", ":1: grpc: there is no such setting"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_line(file: Path, text: str, told: str) -> None:
    assert complaint(file, text).startswith(f"{file}{told}")


def test_a_setting_that_stands_there_with_hyphens_and_with_underscores_is_told(file: Path) -> None:
    line = complaint(file, "grpc-port = 1\ngrpc_port = 2\n")
    assert line == f"{file}:1: grpc-port: grpc_port is the same, expected one of them"


def test_a_flag_of_tritonserver_that_may_be_repeated_takes_a_list(file: Path) -> None:
    (warning,) = parse(file, "cache-config = ['redis,host=a', 'redis,port=1']").warnings
    assert warning.startswith(f"{file}:1: cache-config has no effect")
    assert "expected one value" in complaint(file, "cache-directory = ['a', 'b']")


def test_no_file_at_all_is_not_the_directory_that_the_server_is_started_in() -> None:
    with pytest.raises(BadSettings, match="--config-file: got '', expected a TOML file"):
        Settings.parse(["--config-file="], {})


def test_every_mistake_has_a_line_of_its_own(file: Path) -> None:
    assert len(complaint(file, "grpc-prot = 1\nhttp-prot = 2\n").splitlines()) == 2


def test_what_is_no_toml_is_told_with_its_line(file: Path) -> None:
    line = complaint(file, "id = 'a'\ngrpc-port 8001\n")
    assert line.startswith(f"{file}: expected TOML: ")
    assert "line 2" in line
    assert "\n" not in line


def test_a_file_that_is_not_there_is_told_with_who_names_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.toml")
    with pytest.raises(BadSettings, match=f"--config-file: {missing} cannot be read: No such file"):
        Settings.parse(["--config-file", missing], {})
    with pytest.raises(BadSettings, match=f"NAIAD_CONFIG_FILE: {missing} cannot be read: No such file"):
        Settings.parse([], {"NAIAD_CONFIG_FILE": missing})


def test_a_directory_and_bytes_that_are_no_text_are_told(tmp_path: Path, file: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read: Is a directory"):
        Settings.parse(["--config-file", str(tmp_path)], {})
    file.write_bytes(b"id = '\xff'")
    with pytest.raises(BadSettings, match=r"is not UTF-8, byte 6: expected a TOML file"):
        Settings.parse(["--config-file", str(file)], {})
