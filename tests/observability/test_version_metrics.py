"""What is written of served versions, counted by real ones that a test runs by hand."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from naiad.core.errors import FailureReason, InvalidArgument, NaiadError
from naiad.core.statistics import VersionStatistics
from naiad.observability.exposition import text
from naiad.observability.version_metrics import FIRST_RESPONSE, NAIAD, TRITON, VersionMetrics, unserved
from tests.core.house import ByHand, one
from tests.core.scripted import Scripted, config, request
from tests.observability.families import NAIAD_OF_A_VERSION, TRITON_OF_A_VERSION
from tests.observability.scrapes import Scrape, read, series

FIRST = {"nv_inference_first_response_histogram_ms": "histogram"}
FAMILIES = TRITON_OF_A_VERSION | FIRST | NAIAD_OF_A_VERSION
SECONDS = (
    *("5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05"),
    *("0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"),
)


def metrics() -> VersionMetrics:
    return VersionMetrics((*TRITON, FIRST_RESPONSE, *NAIAD))


def scrape(*hands: ByHand, of: VersionMetrics | None = None, uuid: str = "") -> Scrape:
    return read(written(*(hand.version.statistics() for hand in hands), of=of, uuid=uuid))


def written(*statistics: VersionStatistics, of: VersionMetrics | None = None, uuid: str = "") -> str:
    return text((of or metrics()).blocks(statistics, lambda _: uuid))


def without(labels: Iterable[tuple[tuple[str, str], ...]], *names: str) -> set[tuple[tuple[str, str], ...]]:
    return {tuple((k, v) for k, v in key if k not in names) for key in labels}


def test_a_version_has_every_family_at_zero_with_the_same_labels_from_its_start() -> None:
    found = scrape(one(), one(name="other"))
    assert found.types == FAMILIES
    everyone = {series(model="m", version="1"), series(model="other", version="1")}
    for name, values in found.values.items():
        assert without(values, "le", "reason") == everyone, name
        assert name == "naiad_queue_limit" or not any(values.values()), name


def test_histograms_have_the_buckets_that_are_promised() -> None:
    found = scrape(one())

    def bounds(name: str) -> list[str]:
        return [dict(key)["le"] for key in found.values[f"{name}_bucket"]]

    for name in ("request_duration_seconds", "queue_duration_seconds", "compute_duration_seconds"):
        assert bounds(f"naiad_{name}") == [*SECONDS]
    assert bounds("naiad_batch_size") == [*(str(2**n) for n in range(11)), "+Inf"]
    assert bounds("nv_inference_first_response_histogram_ms") == ["100", "500", "2000", "5000", "+Inf"]


def test_what_ran_is_counted_by_request_row_and_batch() -> None:
    by_hand = one()
    for rows in (1, 3):
        by_hand.infer(request(1.0, rows=rows))
    by_hand.run()
    by_hand.infer(request(2.0, rows=2))
    by_hand.run()
    found, statistics = scrape(by_hand), by_hand.version.statistics()

    def value(name: str, **labels: str) -> float:
        return found.value(name, model="m", version="1", **labels)

    assert value("nv_inference_request_success") == 3
    assert value("nv_inference_count") == 6
    assert value("nv_inference_exec_count") == 2
    assert value("nv_inference_request_duration_us") == statistics.success.ns // 1000 > 0
    assert value("nv_inference_queue_duration_us") == statistics.queue.ns // 1000 > 0
    assert value("nv_inference_compute_infer_duration_us") == statistics.compute_infer.ns // 1000 > 0
    assert value("nv_inference_compute_input_duration_us") == statistics.compute_input.ns // 1000
    assert value("nv_inference_compute_output_duration_us") == statistics.compute_output.ns // 1000
    assert value("naiad_request_duration_seconds_count") == value("naiad_queue_duration_seconds_count") == 3
    assert value("naiad_request_duration_seconds_sum") == pytest.approx(statistics.success.ns / 1e9)
    assert value("nv_inference_first_response_histogram_ms_sum") == pytest.approx(statistics.success.ns / 1e6)
    assert value("nv_inference_first_response_histogram_ms_count") == 3
    assert value("naiad_compute_duration_seconds_count") == value("naiad_batch_size_count") == 2
    assert value("naiad_batch_size_sum") == 6
    assert [value("naiad_batch_size_bucket", le=le) for le in ("1", "2", "4", "+Inf")] == [0, 1, 2, 2]


def test_what_waits_is_told_and_what_runs_does_not_wait() -> None:
    by_hand = ByHand(config(max_batch_size=2), [Scripted()], limit=5)
    for _ in range(3):
        by_hand.infer(request(1.0))
    taken = by_hand.take()
    for name in ("nv_inference_pending_request_count", "naiad_queue_size"):
        assert scrape(by_hand).value(name, model="m", version="1") == 1
    assert scrape(by_hand).value("naiad_queue_limit", model="m", version="1") == 5
    by_hand.version.execute(taken)
    by_hand.run()
    assert scrape(by_hand).value("naiad_queue_size", model="m", version="1") == 0


@pytest.mark.parametrize("reason", FailureReason)
def test_every_reason_is_counted_under_its_own_name_and_under_one_of_tritons(reason: FailureReason) -> None:
    by_hand = one()
    error = InvalidArgument("wrong")
    error.reason = reason  # type: ignore[misc] # of this error alone
    by_hand.version.refused(error, request(1.0))
    found = scrape(by_hand)
    ours = {dict(key)["reason"]: n for key, n in found.values["naiad_request_failures_total"].items()}
    tritons = {dict(key)["reason"]: n for key, n in found.values["nv_inference_request_failure"].items()}
    assert ours == dict.fromkeys((r.value for r in FailureReason), 0) | {reason.value: 1}
    expected = {"overloaded": "REJECTED", "timeout": "REJECTED", "cancelled": "CANCELED", "backend": "BACKEND"}
    assert tritons == dict.fromkeys(("REJECTED", "CANCELED", "BACKEND", "OTHER"), 0) | {
        expected.get(reason.value, "OTHER"): 1
    }


def test_counters_of_the_protocol_say_on_which_gpu_and_nothing_else_does() -> None:
    found = scrape(one(), uuid="GPU-7")
    named = {name for name, values in found.values.items() if any("gpu_uuid" in dict(key) for key in values)}
    assert named == {name for name, kind in FAMILIES.items() if name.startswith("nv_inference_") and kind == "counter"}
    assert found.value("nv_inference_count", model="m", version="1", gpu_uuid="GPU-7") == 0


def test_only_what_has_changed_is_written_again() -> None:
    changed, idle = one(), one(name="idle")
    columns = metrics()
    before = [part for _, part in columns.blocks([h.version.statistics() for h in (changed, idle)], lambda _: "")]
    changed.infer(request(1.0))
    changed.run()
    after = [part for _, part in columns.blocks([h.version.statistics() for h in (changed, idle)], lambda _: "")]
    for old, new in zip(map(list, before), map(list, after), strict=True):
        assert old[0] is not new[0]
        assert old[1] is new[1]
    assert scrape(changed, idle, of=columns).value("nv_inference_count", model="m", version="1") == 1


def test_whatever_changes_is_told_by_the_next_scrape() -> None:
    hand, of = ByHand(config("m"), [Scripted()], limit=1), metrics()
    failures = "naiad_request_failures_total"
    assert scrape(hand, of=of).value("naiad_queue_size", model="m", version="1") == 0
    caller = hand.infer(request(1.0, model="m"))
    assert scrape(hand, of=of).value("naiad_queue_size", model="m", version="1") == 1
    caller.cancel()
    found = scrape(hand, of=of)
    assert found.value("naiad_queue_size", model="m", version="1") == 0
    assert found.value(failures, model="m", version="1", reason="cancelled") == 1


def test_a_version_that_is_gone_is_gone_from_the_text_and_a_new_one_begins_at_zero() -> None:
    columns = metrics()
    first = one()
    first.infer(request(1.0))
    first.run()
    assert scrape(first, of=columns).value("nv_inference_count", model="m", version="1") == 1
    second = ByHand(config(), [Scripted()], number=2)
    found = scrape(second, of=columns)
    assert found.labels("nv_inference_count") == {series(model="m", version="2")}
    assert scrape(one(), of=columns).value("nv_inference_count", model="m", version="1") == 0


def test_requests_without_a_version_are_counted_under_empty_labels() -> None:
    block = unserved({FailureReason.NOT_FOUND: 3})
    found = read(text([block]))
    assert found.value("naiad_request_failures_total", model="", version="", reason="not_found") == 3
    assert len(found.labels("naiad_request_failures_total")) == len(FailureReason)


def test_an_error_of_a_backend_is_told_as_one() -> None:
    scripted = Scripted()
    scripted.raises = RuntimeError("out of order")
    by_hand = one(scripted)
    caller = by_hand.infer(request(1.0))
    by_hand.run()
    assert isinstance(caller.error(), NaiadError)
    found = scrape(by_hand)
    assert found.value("naiad_request_failures_total", model="m", version="1", reason="backend") == 1
    assert found.value("nv_inference_request_failure", model="m", version="1", reason="BACKEND") == 1
    assert found.value("naiad_request_duration_seconds_count", model="m", version="1") == 0
