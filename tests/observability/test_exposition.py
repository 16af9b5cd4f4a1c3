"""The text of a scrape, compared with what a parser of another hand makes of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core.histogram import Histogram
from naiad.observability.exposition import Buckets, Family, labels, number, text
from tests.observability.scrapes import read, series

GAUGE = Family("some_bytes", "gauge", "What there is.")
TIMES = Family("some_seconds", "histogram", "How long.")


def test_a_family_is_its_help_its_type_and_its_samples() -> None:
    lines = [GAUGE.sample(labels({"model": "m", "version": "1"}), 7), GAUGE.sample("", 0.5)]
    assert text([(GAUGE, lines)]) == (
        "# HELP some_bytes What there is.\n"
        "# TYPE some_bytes gauge\n"
        'some_bytes{model="m",version="1"} 7\n'
        "some_bytes 0.5\n"
    )


def test_a_family_without_samples_is_left_out() -> None:
    assert text([(GAUGE, []), (TIMES, iter(()))]) == ""


def test_a_counter_keeps_its_name_with_and_without_total() -> None:
    counters = [Family(name, "counter", "") for name in ("nv_inference_count", "naiad_request_failures_total")]
    written = text([(counter, [counter.sample("", 1)]) for counter in counters])
    assert read(written).types == {counter.name: "counter" for counter in counters}
    assert [line for line in written.splitlines() if line[0] != "#"] == [f"{counter.name} 1" for counter in counters]


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.text(), max_size=3), st.floats())
def test_labels_and_values_come_back_as_they_were(given_labels: dict[str, str], value: float) -> None:
    found = read(text([(GAUGE, [GAUGE.sample(labels(given_labels), value)])])).values["some_bytes"]
    ((key, parsed),) = found.items()
    assert key == series(**{name: _encodable(label) for name, label in given_labels.items()})
    assert parsed == value or (math.isnan(parsed) and math.isnan(value))


def _encodable(label: str) -> str:
    return label.encode("utf-8", "backslashreplace").decode()


def test_a_label_cannot_end_its_line_or_its_quotes() -> None:
    forged = 'm"} 1\nsome_bytes{model="other'
    assert text([(GAUGE, [GAUGE.sample(labels({"model": forged}), 1)])]).count("\n") == 3
    assert labels({"model": forged}) == r'model="m\"} 1\nsome_bytes{model=\"other"'
    assert labels({"path": "a\\n"}) == r'path="a\\n"'


def test_a_name_that_is_no_text_is_written_as_escapes() -> None:
    assert labels({"model": "caf\udce9"}) == r'model="caf\\udce9"'


def test_help_stays_on_its_line() -> None:
    assert Family("a", "gauge", "one\ntwo \\ three").header() == "# HELP a one\\ntwo \\\\ three\n# TYPE a gauge\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (10**18 + 1, "1000000000000000001"),
        (2.0, "2"),
        (0.00005, "5e-05"),
        (0.1 + 0.2, "0.30000000000000004"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (True, "1"),
    ],
)
def test_numbers_are_written_as_prometheus_reads_them(value: float, written: str) -> None:
    assert number(value) == written
    assert float(written) == float(value) or math.isnan(value)


def test_buckets_count_all_values_up_to_their_bound_and_coarser_ones_put_finer_ones_together() -> None:
    histogram = Histogram((10, 20, 50, 100), (1, 2, 4, 8, 16), 5000)
    fine = read(text([(TIMES, [Buckets(TIMES, (10, 20, 50, 100), 10).samples('a="b"', histogram)])]))
    coarse = read(text([(TIMES, [Buckets(TIMES, (20, 100), 10).samples("", histogram)])]))
    bounds = ["1", "2", "5", "10", "+Inf"]
    assert [fine.value("some_seconds_bucket", a="b", le=bound) for bound in bounds] == [1, 3, 7, 15, 31]
    assert coarse.values == {
        "some_seconds_bucket": {series(le="2"): 3, series(le="10"): 15, series(le="+Inf"): 31},
        "some_seconds_sum": {(): 500},
        "some_seconds_count": {(): 31},
    }
    assert fine.value("some_seconds_count", a="b") == 31
