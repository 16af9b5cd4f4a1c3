"""Command lines and environments to settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from naiad.settings import BadSettings, Settings
from naiad.settings.fields import GROUPS

CERTIFICATE = ["--grpc-server-cert=a", "--grpc-server-key=b"]


def parse(*arguments: str, **environment: str) -> Settings:
    return Settings.parse(arguments, environment)


def complaint(*arguments: str, **environment: str) -> str:
    with pytest.raises(BadSettings) as caught:
        parse(*arguments, **environment)
    return str(caught.value)


def test_every_setting_stands_in_one_group() -> None:
    names = [name for group in GROUPS for name in group.model_fields]
    assert sorted(names) == sorted(Settings.model_fields)


def test_a_repeated_flag_is_a_list_and_commas_stay() -> None:
    assert parse("--model-repository", "a,b", "--model-repository=c").model_repository == [Path("a,b"), Path("c")]


def test_the_names_that_a_setting_has_add_to_one_list() -> None:
    settings = parse("--model-store=a", "--model-repository=b", "--model-store=c")
    assert settings.model_repository == [Path("a"), Path("b"), Path("c")]


def test_of_a_flag_given_twice_the_last_counts() -> None:
    assert parse("--id=a", "--id=b").id == "b"


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text("grpc-port = 1\nhttp-port = 1\nmetrics-port = 1\n")
    settings = parse(
        "--grpc-port=3", f"--config-file={file}", NAIAD_GRPC_PORT="2", NAIAD_HTTP_PORT="2", NAIAD_CONFIG_FILE="none"
    )
    assert (settings.grpc_port, settings.http_port, settings.metrics_port) == (3, 2, 1)


def test_a_list_replaces_that_of_a_lower_place_and_its_other_name(tmp_path: Path) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text("model-repository = ['low']\nbackend-config = ['x,y=z']\n")
    settings = parse("--model-store=mine", NAIAD_MODEL_REPOSITORY="theirs", NAIAD_CONFIG_FILE=str(file))
    assert settings.model_repository == [Path("mine")]
    assert settings.backend_config == ["x,y=z"]


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("MODEL_REPOSITORY", "repo", [Path("repo")]),
        ("MODEL_REPOSITORY", f"a,b{os.pathsep}c", [Path("a,b"), Path("c")]),
        ("MODEL_REPOSITORY", f'["a{os.pathsep}b", "c"]', [Path(f"a{os.pathsep}b"), Path("c")]),
        ("MODEL_REPOSITORY", "", []),
        ("BACKEND_CONFIG", "onnxruntime,a=b:c", ["onnxruntime,a=b:c"]),
        ("BACKEND_CONFIG", '["x,a=b", "y,c=d"]', ["x,a=b", "y,c=d"]),
        ("GRPC_PORT", "", 8001),
    ],
)
def test_a_list_in_the_environment_is_json_or_a_plain_value_and_an_empty_variable_nothing(
    variable: str, value: str, expected: object
) -> None:
    assert getattr(parse(**{f"NAIAD_{variable}": value}), variable.lower()) == expected


def test_backend_options_are_sorted_by_backend() -> None:
    settings = parse(
        "--backend-config=onnxruntime,a=b=c",
        "--backend-config",
        "onnxruntime,d=",
        "--backend-config=x,y=z",
        "--backend-config=default-max-batch-size=8",
    )
    assert settings.backend_options() == {
        "onnxruntime": {"a": "b=c", "d": ""},
        "x": {"y": "z"},
        "": {"default-max-batch-size": "8"},
    }


@pytest.mark.parametrize(
    ("arguments", "flag", "expected"),
    [
        (["--grpc-port", "http"], "--grpc-port", "valid integer"),
        (["--grpc-port", "70000"], "--grpc-port", "65535"),
        (["--model-control-mode", "sometimes"], "--model-control-mode", "'none', 'poll' or 'explicit'"),
        (["--backend-config", "onnxruntime"], "--backend-config", "expected BACKEND,KEY=VALUE"),
        (["--backend-config", "batch-size=1"], "--backend-config", "or default-max-batch-size=N"),
        (["--backend-config", "default-max-batch-size=many"], "--backend-config", "default-max-batch-size=N"),
        (["--backend-config", "default-max-batch-size=99999999999"], "--backend-config", "from 0 to 2147483647"),
        (["--backend-config", "default-max-batch-size=-3"], "--backend-config", "default-max-batch-size=N"),
        (["--model-repository", ""], "--model-repository", "expected a directory of models"),
        (["--model-store", ""], "--model-store", "expected a directory of models"),
        (["--grpc-address", ""], "--grpc-address", "expected a host or an address"),
        (["--metrics-address", "[]"], "--metrics-address", "expected a host or an address"),
        (["--metrics-interval-ms", "nan"], "--metrics-interval-ms", "finite"),
        (["--log-verbose", "loud"], "--log-verbose", "valid integer"),
        (["--model-load-thread-count", "257"], "--model-load-thread-count", "less than or equal to 256"),
        (["--grpc-keepalive-timeout", "0"], "--grpc-keepalive-timeout", "greater than or equal to 1"),
        (["--backend-config", "onnxruntime,=1"], "--backend-config", "expected BACKEND,KEY=VALUE"),
        (["--model-repository", "s3://bucket/models"], "--model-repository", "not fetched yet"),
        (["--metrics-config", "latencies"], "--metrics-config", "KEY=VALUE"),
        (["--log-level", "loud"], "--log-level", "'debug', 'info', 'warning' or 'error'"),
        (["--log-format", "xml"], "--log-format", "'text' or 'json'"),
        (["--strict-readiness", "perhaps"], "--strict-readiness", "valid boolean"),
        (["--exit-timeout-secs", "-1"], "--exit-timeout-secs", "greater than or equal to 0"),
        (["--exit-timeout-secs", "inf"], "--exit-timeout-secs", "finite"),
        (["--shutdown-delay-secs", "nan"], "--shutdown-delay-secs", "finite"),
        (["--shutdown-delay-secs", "90000"], "--shutdown-delay-secs", "less than or equal to 86400"),
        (["--model-load-timeout-secs", "inf"], "--model-load-timeout-secs", "finite"),
        (["--model-config-name", "../x"], "--model-config-name", "name of a file in configs/"),
        (["--grpc-transport", "http3"], "--grpc-transport", "'native' or 'aio'"),
        (["--grpc-address", "unix:"], "--grpc-address", "expected unix:PATH"),
        (["--grpc-address", "unix://host/path"], "--grpc-address", "expected unix:PATH"),
        (["--grpc-address", "unix-abstract:name"], "--grpc-address", "expected unix:PATH"),
        (["--grpc-max-metadata-size", "1023"], "--grpc-max-metadata-size", "greater than or equal to 1024"),
        (["--grpc-max-concurrent-streams", "0"], "--grpc-max-concurrent-streams", "greater than or equal to 1"),
        (["--grpc-handshake-timeout", "0"], "--grpc-handshake-timeout", "greater than or equal to 1"),
        (["--grpc-infer-response-compression-level", "most"], "--grpc-infer-response-compression-level", "'medium'"),
    ],
)
def test_a_bad_value_is_told_with_its_flag_what_was_got_and_what_is_expected(
    arguments: list[str], flag: str, expected: str
) -> None:
    line = complaint(*arguments)
    assert line.startswith(f"{flag}: ")
    assert "\n" not in line
    assert expected in line
    assert arguments[1] in line


def test_a_bad_value_is_told_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text("# ports\ngrpc_port = 'many'\n")
    assert complaint(NAIAD_GRPC_PORT="http").startswith("NAIAD_GRPC_PORT: got 'http', expected ")
    assert complaint("--config-file", str(file)).startswith(f"{file}:2: grpc_port: got 'many', expected ")


def test_metrics_are_served_where_http_is_unless_they_have_an_address_of_their_own() -> None:
    assert parse().metrics_address == "127.0.0.1"
    assert parse("--http-address=::1").metrics_address == "::1"
    assert parse("--http-address=::1", "--metrics-address=127.0.0.2").metrics_address == "127.0.0.2"


def test_every_mistake_has_a_line_of_its_own() -> None:
    lines = complaint("--grpc-port=a", "--http-port=b", "--log-level=c").splitlines()
    assert {line.partition(":")[0] for line in lines} == {"--grpc-port", "--http-port", "--log-level"}


def test_a_mistake_in_one_place_hides_none_in_another(tmp_path: Path) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text("http-prot = 1\n")
    lines = complaint(
        "--bogus", "--grpc-port=many", "--allow-client-shm", f"--config-file={file}", NAIAD_MODEL_REPOSITORY="[1"
    ).splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == sorted([
        "--bogus", "--grpc-port", "--allow-client-shm", f"{file}:1", "NAIAD_MODEL_REPOSITORY",
    ])  # fmt: skip


def test_contradictions_are_told_beside_other_mistakes() -> None:
    lines = complaint("--allow-client-shm", "--load-model=a", "--allow-grpc=0", "--allow-http=0").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "--allow-client-shm", "--load-model", "--allow-grpc=false and --allow-http=false",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "setting", "expected"),
    [
        ("--log-verbose=true", "log_verbose", 1),
        ("--log-verbose=False", "log_verbose", 0),
        ("--log-verbose=-1", "log_verbose", 0),
        ("--model-load-thread-count=0", "model_load_thread_count", 1),
        ("--grpc-keepalive-time=0", "grpc_keepalive_time", 0),
        ("--grpc-max-connection-age=-1", "grpc_max_connection_age", 0),
        ("--id=", "id", "naiad"),
        ("--metrics-interval-ms=1500.5", "metrics_interval_ms", 1500.5),
        ("--metrics-interval-ms=0", "metrics_interval_ms", 1),
        ("--log-file=", "log_file", None),
        ("--grpc-address=[::1]", "grpc_address", "::1"),
        ("--http-address=::1", "http_address", "::1"),
        ("--grpc-address=unix:/run/grpc.sock", "grpc_address", "unix:/run/grpc.sock"),
        ("--grpc-address=unix:///run/grpc.sock", "grpc_address", "unix:/run/grpc.sock"),
        ("--grpc-address=unix:grpc.sock", "grpc_address", "unix:grpc.sock"),
        ("--grpc-server-cert=", "grpc_server_cert", None),
        ("--grpc-transport=", "grpc_transport", None),
        ("--grpc-transport=AIO", "grpc_transport", "aio"),
    ],
)
def test_what_tritonserver_takes_and_has_a_meaning_is_taken(argument: str, setting: str, expected: object) -> None:
    assert getattr(parse(argument), setting) == expected


def test_a_repository_that_is_empty_is_refused_beside_one_that_is_not() -> None:
    assert complaint("--model-repository=/m", "--model-repository=").startswith("--model-repository: got ''")


def test_where_a_setting_stands_is_known(tmp_path: Path) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text("model-repository = '/models'\n")
    settings = parse(f"--config-file={file}", NAIAD_LOG_FILE="x")
    assert settings.origin("model_repository") == f"{file}:1: model-repository"
    assert (settings.origin("log_file"), settings.origin("grpc_port")) == ("NAIAD_LOG_FILE", "--grpc-port")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--load-model=a"], "--model-control-mode=explicit"),
        (["--model-control-mode=explicit", "--load-model=*", "--load-model=a"], "* alone"),
        (["--allow-grpc=false", "--allow-http=0"], "nothing would be served"),
        (["--grpc-use-ssl"], "--grpc-use-ssl: expected --grpc-server-cert and --grpc-server-key beside it"),
        (["--grpc-use-ssl", "--grpc-server-cert=a", "--grpc-server-key="], "expected --grpc-server-key beside it"),
        (
            ["--grpc-use-ssl-mutual", "--grpc-server-cert=a", "--grpc-server-key=b"],
            "--grpc-use-ssl-mutual: expected --grpc-root-cert beside it",
        ),
        (["--grpc-use-ssl=false", "--grpc-use-ssl-mutual", "--grpc-root-cert=c"], "--grpc-server-cert and --grpc-serv"),
    ],
)
def test_settings_that_contradict_each_other_are_told(arguments: list[str], told: str) -> None:
    assert told in complaint(*arguments)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--allow-grpc=false"], "--allow-grpc"),
        (["--grpc-server-cert=a"], "--grpc-server-cert has no effect: it counts with --grpc-use-ssl only"),
        (["--grpc-server-key=b"], "--grpc-server-key has no effect: it counts with --grpc-use-ssl only"),
        (["--grpc-root-cert=c"], "--grpc-root-cert has no effect"),
        (
            ["--grpc-use-ssl", "--grpc-server-cert=a", "--grpc-server-key=b", "--grpc-root-cert=c"],
            "--grpc-root-cert has no effect: certificates are asked of clients with --grpc-use-ssl-mutual only",
        ),
    ],
)
def test_what_starts_with_less_than_it_may_seem_is_warned_about(arguments: list[str], named: str) -> None:
    (warning,) = parse(*arguments).warnings
    assert named in warning


@pytest.mark.parametrize(
    ("arguments", "level", "muted"),
    [
        ([], "info", set()),
        (["--log-verbose=0"], "info", set()),
        (["--log-verbose=2", "--log-level=error"], "debug", set()),
        (["--log-info=false", "--log-warning=off"], "info", {"info", "warning"}),
        (["--log-error=false"], "info", {"error"}),
    ],
)
def test_tritonserver_s_log_flags_choose_levels(arguments: list[str], level: str, muted: set[str]) -> None:
    settings = parse(*arguments)
    assert settings.least_level == level
    assert {str(each) for each in settings.muted_levels} == muted


@pytest.mark.parametrize(
    ("written", "style"), [("default", "text"), ("ISO8601", "text"), ("text", "text"), ("json", "json")]
)
def test_tritonserver_s_log_formats_are_text(written: str, style: str) -> None:
    assert parse(f"--log-format={written}").log_format == style


@pytest.mark.parametrize(
    ("flags", "tls"),
    [
        ([], False),
        (["--grpc-use-ssl=false", "--grpc-use-ssl-mutual=false"], False),
        (["--grpc-use-ssl", *CERTIFICATE], True),
        (["--grpc-use-ssl-mutual", "--grpc-root-cert=c", *CERTIFICATE], True),
        (["--grpc-use-ssl=false", "--grpc-use-ssl-mutual", "--grpc-root-cert=c", *CERTIFICATE], True),
    ],
)
def test_certificates_of_clients_are_a_reason_for_tls_too(flags: list[str], tls: bool) -> None:
    settings = parse(*flags)
    assert (settings.uses_tls, settings.warnings) == (tls, ())


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse().grpc_port = 1
