"""What `--metrics-config` asks for."""

from __future__ import annotations

import pytest

from naiad.observability.metrics_config import MetricsConfig, parse


def test_nothing_is_asked_for_by_default() -> None:
    assert parse([]) == MetricsConfig(first_response=False, warnings=())


@pytest.mark.parametrize(("pairs", "wanted"), [(["true"], True), (["TRUE"], True), (["false"], False), (["1"], True)])
def test_histograms_can_be_asked_for(pairs: list[str], wanted: bool) -> None:
    assert parse([f"histogram_latencies={value}" for value in pairs]) == MetricsConfig(wanted)


def test_the_last_value_of_a_key_counts() -> None:
    assert parse(["histogram_latencies=true", "histogram_latencies=false"]) == MetricsConfig(False)


def test_what_is_so_anyway_needs_no_warning() -> None:
    assert parse(["counter_latencies=true", "summary_latencies=false"]).warnings == ()


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("counter_latencies=false", "always there"),
        ("summary_latencies=true", "naiad_request_duration_seconds"),
        ("summary_quantiles=0.5:0.05,0.9:0.01", "naiad_request_duration_seconds"),
        ("histogram_latency=true", "did you mean histogram_latencies?"),
        ("zzz=1", "expected one of histogram_latencies, counter_latencies"),
    ],
)
def test_what_is_not_honoured_is_named_with_its_reason(pair: str, told: str) -> None:
    (warning,) = parse([pair]).warnings
    assert f"--metrics-config {pair} is ignored" in warning
    assert told in warning


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("histogram_latencies", "KEY=VALUE"),
        ("=true", "KEY=VALUE"),
        ("histogram_latencies=often", "histogram_latencies=true or histogram_latencies=false"),
    ],
)
def test_what_is_no_pair_or_no_switch_is_an_error(pair: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse([pair])
