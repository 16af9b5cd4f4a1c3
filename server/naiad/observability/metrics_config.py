"""What `--metrics-config KEY=VALUE` asks for, with Triton's keys. Pure.

Histograms of latencies are honoured. The other keys only tune what a scrape holds, and are warned about by name: what
they would add or leave out is said there.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

_TRUE, _FALSE = frozenset({"true", "1", "on", "yes"}), frozenset({"false", "0", "off", "no"})

_SUMMARIES = "there are no summaries; quantiles come from naiad_request_duration_seconds and its siblings"
_IGNORED = {
    "counter_latencies": "the counters cost nothing here and are always there",
    "summary_latencies": _SUMMARIES,
    "summary_quantiles": _SUMMARIES,
}
_HISTOGRAMS = "histogram_latencies"
_KEYS = (_HISTOGRAMS, *_IGNORED)
_HARMLESS = {"counter_latencies": _TRUE, "summary_latencies": _FALSE}
"""Values that ask for what is so anyway."""


class MetricsConfig(NamedTuple):
    """first_response: have `nv_inference_first_response_histogram_ms`. warnings: what is not honoured, and why."""

    first_response: bool = False
    warnings: tuple[str, ...] = ()


def parse(pairs: Sequence[str]) -> MetricsConfig:
    """Read the pairs, of which the last of a key counts; raises ValueError with what was expected instead of one."""
    values = dict(_pair(pair) for pair in pairs)
    warnings = tuple(
        f"--metrics-config {key}={value} is ignored: {_why(key)}"
        for key, value in values.items()
        if key != _HISTOGRAMS and value.lower() not in _HARMLESS.get(key, ())
    )
    return MetricsConfig(_switch(_HISTOGRAMS, values.get(_HISTOGRAMS, "false")), warnings)


def _pair(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not (key and equals):
        raise ValueError(f"expected KEY=VALUE with one of the keys {', '.join(_KEYS)}")
    return key, value


def _switch(key: str, value: str) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise ValueError(f"expected {key}=true or {key}=false")
    return value.lower() in _TRUE


def _why(key: str) -> str:
    if key in _IGNORED:
        return _IGNORED[key]
    nearest = get_close_matches(key, _KEYS, 1)
    return f"there is no such key; did you mean {nearest[0]}?" if nearest else f"expected one of {', '.join(_KEYS)}"
