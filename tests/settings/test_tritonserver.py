"""Every flag of tritonserver is known, and nothing that it asks for is dropped without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from naiad.settings import BadSettings, Settings
from naiad.settings.model import FLAGS
from naiad.settings.tritonserver import FOREIGN, OWN, Foreign, Verdict

_NAMES = """
    id exit-timeout-secs
    log-verbose log-info log-warning log-error log-format log-file
    model-store model-repository exit-on-error disable-auto-complete-config strict-readiness model-control-mode
    repository-poll-secs load-model model-config-name model-load-thread-count model-load-retry-count
    model-namespacing enable-peer-access
    allow-http http-address http-port reuse-http-port http-header-forward-pattern http-thread-count
    http-max-input-size http-restricted-api
    allow-grpc grpc-address grpc-port reuse-grpc-port grpc-header-forward-pattern grpc-infer-thread-count
    grpc-infer-allocation-pool-size grpc-max-response-pool-size grpc-use-ssl grpc-use-ssl-mutual grpc-server-cert
    grpc-server-key grpc-root-cert grpc-infer-response-compression-level grpc-keepalive-time grpc-keepalive-timeout
    grpc-keepalive-permit-without-calls grpc-http2-max-pings-without-data
    grpc-http2-min-recv-ping-interval-without-data grpc-http2-max-ping-strikes grpc-max-connection-age
    grpc-max-connection-age-grace grpc-restricted-protocol
    allow-sagemaker sagemaker-port sagemaker-safe-port-range sagemaker-thread-count
    allow-vertex-ai vertex-ai-port vertex-ai-thread-count vertex-ai-default-model
    allow-metrics allow-gpu-metrics allow-cpu-metrics metrics-address metrics-port metrics-interval-ms metrics-config
    trace-config backend-directory backend-config repoagent-directory cache-config cache-directory
    rate-limit rate-limit-resource
    pinned-memory-pool-byte-size cuda-memory-pool-byte-size cuda-virtual-address-size
    min-supported-compute-capability buffer-manager-thread-count host-policy model-load-gpu-limit allow-client-shm
    strict-model-config response-cache-byte-size trace-file trace-level trace-rate trace-count trace-log-frequency
    """
TRITONSERVER = frozenset(_NAMES.split())
"""The flags that `tritonserver --help` of 2.51 lists, and those that later versions have added."""

ASKING = {"min-supported-compute-capability": "6.0", "rate-limit": "execution_count"}
"""A value that asks for something, for those flags that one value does not fit."""


def parse(*arguments: str) -> Settings:
    return Settings.parse(arguments, {})


def asking(foreign: Foreign) -> str:
    return f"--{foreign.name}={ASKING.get(foreign.name, 'true' if foreign.boolean else '7')}"


def those(verdict: Verdict) -> list[Foreign]:
    return [foreign for foreign in FOREIGN if foreign.verdict is verdict]


def test_every_flag_of_tritonserver_is_known_and_all_others_are_ours() -> None:
    assert FLAGS.keys() >= TRITONSERVER
    assert FLAGS.keys() - TRITONSERVER == OWN


def test_a_flag_is_a_setting_or_stands_in_the_table_once() -> None:
    names = [foreign.name for foreign in FOREIGN]
    assert len(names) == len(set(names))
    assert not {name.replace("-", "_") for name in names} & Settings.model_fields.keys()


@pytest.mark.parametrize("foreign", those(Verdict.NO_EFFECT), ids=lambda foreign: foreign.name)
def test_what_only_tunes_is_accepted_with_one_warning_that_names_it_and_says_why(foreign: Foreign) -> None:
    (warning,) = parse(asking(foreign), asking(foreign)).warnings
    assert warning == f"--{foreign.name} has no effect: {foreign.why}"


@pytest.mark.parametrize("foreign", those(Verdict.REFUSED), ids=lambda foreign: foreign.name)
def test_what_protects_or_changes_answers_is_refused_by_name_and_with_a_reason(foreign: Foreign) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(asking(foreign))
    value = asking(foreign).partition("=")[2]
    assert str(caught.value) == f"--{foreign.name}: got '{value}', which cannot be honoured: {foreign.why}"


@pytest.mark.parametrize("foreign", those(Verdict.ALREADY), ids=lambda foreign: foreign.name)
@pytest.mark.parametrize("value", ["true", "false"])
def test_what_needs_nothing_is_accepted(foreign: Foreign, value: str) -> None:
    assert parse(f"--{foreign.name}={value}").warnings == ()


@pytest.mark.parametrize(
    "argument",
    [
        *(f"--{foreign.name}={no}" for foreign in FOREIGN if foreign.boolean for no in ("false", "False", "0", "off")),
        "--rate-limit=off",
        "--rate-limit=OFF",
        "--trace-config=level=OFF",
        "--trace-level=OFF",
        "--response-cache-byte-size=0",
        "--buffer-manager-thread-count=0",
        "--http-restricted-api=",
        "--grpc-header-forward-pattern=",
    ],
)
def test_a_value_that_asks_for_nothing_is_accepted_without_a_word(argument: str) -> None:
    assert parse(argument).warnings == ()


@pytest.mark.parametrize("foreign", [foreign for foreign in FOREIGN if foreign.boolean], ids=lambda each: each.name)
def test_a_boolean_that_is_neither_is_told(foreign: Foreign) -> None:
    with pytest.raises(BadSettings, match=f"--{foreign.name}: got 'maybe', expected true or false"):
        parse(f"--{foreign.name}=maybe")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--allow-client-shm=true", "--allow-client-shm=false"],
        ["--allow-client-shm=perhaps", "--allow-client-shm=false"],
        ["--trace-level=TIMESTAMPS", "--trace-level=OFF"],
        ["--rate-limit=execution_count", "--rate-limit=off"],
    ],
)
def test_of_a_flag_given_twice_only_the_last_is_judged(arguments: list[str]) -> None:
    assert parse(*arguments).warnings == ()


def test_what_a_higher_place_takes_back_is_not_judged(tmp_path: Path) -> None:
    file = tmp_path / "naiad.toml"
    file.write_text("model-namespacing = true\ncache-config = ['local,size=1']\n")
    environment = {"NAIAD_ALLOW_CLIENT_SHM": "true", "NAIAD_MODEL_NAMESPACING": "0", "NAIAD_CONFIG_FILE": str(file)}
    (warning,) = Settings.parse(["--allow-client-shm=false", "--cache-config=redis,host=a"], environment).warnings
    assert warning.startswith("--cache-config has no effect")
    with pytest.raises(BadSettings, match="--allow-client-shm: got 'true'"):
        Settings.parse(["--allow-client-shm=true"], {"NAIAD_ALLOW_CLIENT_SHM": "false"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--http-restricted-api=model-repository:key=value", "--http-restricted-api="],
        ["--grpc-restricted-protocol=", "--grpc-restricted-protocol=health:key=value"],
    ],
)
def test_of_a_flag_that_may_be_repeated_every_value_is_judged(arguments: list[str]) -> None:
    with pytest.raises(BadSettings, match=r":key=value', which cannot be honoured"):
        parse(*arguments)


def test_a_bare_boolean_asks_for_it() -> None:
    with pytest.raises(BadSettings, match="--allow-client-shm: got 'true'"):
        parse("--allow-client-shm", "--id=a")


def test_the_old_name_of_strict_configs_means_the_new_one() -> None:
    assert parse("--strict-model-config=true").disable_auto_complete_config
    assert not parse("--strict-model-config=false").disable_auto_complete_config


def test_all_refusals_are_told_together() -> None:
    with pytest.raises(BadSettings) as caught:
        parse("--allow-client-shm=true", "--model-namespacing=true")
    assert len(str(caught.value).splitlines()) == 2
