"""Variables of the environment: which are settings, which are told, which are somebody else's."""

from __future__ import annotations

import pytest

from naiad.settings import BadSettings, Settings


def parse(**environment: str) -> Settings:
    return Settings.parse([], environment)


def test_a_variable_that_is_no_setting_is_warned_about_with_the_nearest_one() -> None:
    (warning,) = parse(NAIAD_GRPC_PROT="1", PATH="/bin", NAIADX="1").warnings
    assert warning == "NAIAD_GRPC_PROT: there is no such setting; did you mean NAIAD_GRPC_PORT?"


def test_what_kubernetes_sets_for_services_is_passed_over() -> None:
    settings = parse(
        NAIAD_SERVICE_HOST="10.0.0.1",
        NAIAD_SERVICE_PORT="8001",
        NAIAD_SERVICE_PORT_GRPC="8001",
        NAIAD_PORT="tcp://10.0.0.1:8001",
        NAIAD_PORT_8001_TCP="tcp://10.0.0.1:8001",
        NAIAD_PORT_8001_TCP_PROTO="tcp",
        NAIAD_GRPC_SERVICE_HOST="10.0.0.2",
        NAIAD_GRPC_PORT="tcp://10.0.0.2:9000",
        NAIAD_GRPC_PORT_9000_TCP_ADDR="10.0.0.2",
        NAIAD_METRICS_PORT="udp://10.0.0.3:9000",
    )
    assert settings.warnings == ()
    assert (settings.grpc_port, settings.metrics_port) == (8001, 8002)


def test_a_port_that_is_a_number_is_a_setting() -> None:
    assert parse(NAIAD_GRPC_PORT="9000").grpc_port == 9000


@pytest.mark.parametrize("value", ['["repo', '["repo", 1]', '{"a":1}'])
def test_a_list_that_is_broken_is_told_on_one_line(value: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(NAIAD_MODEL_REPOSITORY=value)
    assert str(caught.value).startswith(f"NAIAD_MODEL_REPOSITORY: got {value!r}, expected a JSON list")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("root", ["s3://bucket/models", "gs://bucket/models"])
def test_a_repository_in_a_cloud_is_refused_whole(root: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(NAIAD_MODEL_REPOSITORY=f"/models:{root}")
    assert str(caught.value).startswith(f"NAIAD_MODEL_REPOSITORY: got '{root}', expected a directory")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("value", "expected"), [("false", False), ("1", True), ("On", True)])
def test_a_boolean_has_the_spellings_of_a_flag(value: str, expected: bool) -> None:
    assert parse(NAIAD_ACCESS_LOG=value).access_log is expected


def test_tritonserver_s_other_flags_mean_the_same_here() -> None:
    assert "NAIAD_CACHE_CONFIG has no effect" in parse(NAIAD_CACHE_CONFIG="local,size=1").warnings[0]
    with pytest.raises(BadSettings, match="NAIAD_ALLOW_CLIENT_SHM: got 'true', which cannot be honoured: shared"):
        parse(NAIAD_ALLOW_CLIENT_SHM="true")
