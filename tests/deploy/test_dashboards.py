"""What dashboards ask, asked of a real Prometheus that scrapes a real server: every answer has samples.

Panels about GPUs must be understood; the server may have none.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.deploy.conftest import POD, REQUESTS, ROWS, Watched
from tests.deploy.prometheus import Sample
from tests.deploy.rules import DASHBOARD, dashboard

VARIABLES = {
    "$instance": ".*",
    "$model": ".*",
    "$__rate_interval": "1m",
    "$__interval": "15s",
    "$__range": "1h",
}
BUILT_IN = {"datasource"}

TRITON_QUERIES = {
    "servers": "count(count(nv_inference_count) by (instance))",
    "share of the load": (
        "sum by (pod) (rate(nv_inference_count[1m])) / ignoring(pod) group_left sum(rate(nv_inference_count[1m]))"
    ),
    "successes": "sum(nv_inference_request_success) by (pod)",
    "failures": "sum(nv_inference_request_failure) by (pod)",
    "compute time": "sum(rate(nv_inference_compute_infer_duration_us[30s])) by (model)/1000",
    "time in the queue": (
        "avg(rate(nv_inference_queue_duration_us[30s])/(1+rate(nv_inference_request_success[30s]))) by (pod)"
    ),
    "memory": "nv_cpu_memory_used_bytes",
    "cpu": "nv_cpu_utilization*100",
    "autoscaling": "avg(delta(nv_inference_queue_duration_us[30s])/(1+delta(nv_inference_request_success[30s])))",
    "queue to compute": (
        "rate(nv_inference_queue_duration_us[30s])/clamp_min(rate(nv_inference_compute_infer_duration_us[30s]), 1)"
    ),
    "success of older dashboards": "nv_inference_request_success",
    "failure of older dashboards": "nv_inference_request_failure",
}
TRITON_GPU_QUERIES = (
    "nv_gpu_power_usage",
    "sum(nv_gpu_power_usage)",
    "nv_gpu_memory_used_bytes",
    "nv_gpu_utilization*100",
)


class Query(NamedTuple):
    """One query of a panel, as it stands in the dashboard."""

    row: str
    panel: str
    expression: str

    @property
    def needs_a_gpu(self) -> bool:
        return self.row == "GPUs"


def queries() -> Iterator[Query]:
    row = ""
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        for target in panel.get("targets", ()):
            yield Query(row, panel["title"], target["expr"])


def substituted(expression: str) -> str:
    for name, value in sorted(VARIABLES.items(), reverse=True):
        expression = expression.replace(name, value)
    assert "$" not in expression, f"{expression} has a variable that is not among {sorted(VARIABLES)}"
    return expression


def numbers(samples: list[Sample]) -> list[float]:
    return [sample.value for sample in samples if math.isfinite(sample.value)]


@pytest.mark.parametrize("title", TRITON_QUERIES)
def test_a_query_of_triton_s_dashboards_has_an_answer(watched: Watched, title: str) -> None:
    samples = watched.prometheus.query(TRITON_QUERIES[title])
    assert samples
    assert len(numbers(samples)) == len(samples)


@pytest.mark.parametrize("expression", TRITON_GPU_QUERIES)
def test_a_query_of_triton_s_dashboards_about_gpus_is_understood(watched: Watched, expression: str) -> None:
    assert len(watched.prometheus.query(expression)) >= 0


def test_triton_s_counters_are_counters_under_their_exact_names(watched: Watched) -> None:
    success = watched.prometheus.query("sum by (pod, model, version) (nv_inference_request_success)")
    inferences = watched.prometheus.query("sum by (pod, model, version) (nv_inference_count)")
    plain, batched = (POD | {"model": model, "version": "1"} for model in ("plain", "batched"))
    assert {sample.labels["model"]: sample for sample in success} == {
        "plain": Sample(plain, REQUESTS),
        "batched": Sample(batched, REQUESTS),
    }
    assert {sample.labels["model"]: sample for sample in inferences} == {
        "plain": Sample(plain, REQUESTS),
        "batched": Sample(batched, REQUESTS * ROWS),
    }
    (described,) = watched.prometheus.get("metadata", metric="nv_inference_request_success")[
        "nv_inference_request_success"
    ]
    assert described["type"] == "counter"


@pytest.mark.parametrize("query", list(queries()), ids=lambda query: f"{query.panel}-{query.expression[:24]}")
def test_a_panel_has_samples(watched: Watched, query: Query) -> None:
    samples = watched.prometheus.query(substituted(query.expression))
    assert numbers(samples) or query.needs_a_gpu, f"{query} got {samples}"


def test_the_panels_show_the_traffic_there_was(watched: Watched) -> None:
    shown: dict[str, list[Sample]] = {}
    for query in queries():
        shown.setdefault(query.panel, []).extend(watched.prometheus.query(substituted(query.expression)))
    assert {sample.labels["model"] for sample in shown["Successful requests"]} == {"plain", "batched"}
    assert {sample.labels["reason"] for sample in shown["Failed requests by reason"] if sample.value > 0} == {
        "invalid_argument",
        "not_found",
    }
    batched = next(sample for sample in shown["Rows in a batch"] if sample.labels.get("model") == "batched")
    assert batched.value >= ROWS
    states = {(sample.labels["model"], sample.labels["state"]) for sample in shown["Versions"]}
    assert states == {("plain", "ready"), ("batched", "ready")}


def test_annotations_are_understood(watched: Watched) -> None:
    marks = [mark for mark in dashboard()["annotations"]["list"] if "expr" in mark]
    assert len(marks) == 2
    for mark in marks:
        watched.prometheus.query(substituted(mark["expr"]))


@pytest.mark.parametrize(("name", "values"), [("instance", 1), ("model", 2)])
def test_a_variable_offers_what_is_scraped(watched: Watched, name: str, values: int) -> None:
    (variable,) = (found for found in dashboard()["templating"]["list"] if found["name"] == name)
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
    assert match is not None
    selector, label = substituted(match.group(1)), match.group(2)
    offered = watched.prometheus.get(f"label/{label}/values", **{"match[]": selector})
    assert len(offered) == values


def test_every_variable_that_is_used_is_defined() -> None:
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard())))
    defined = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert {name for name in used if not name.startswith("__")} == defined
    assert defined - BUILT_IN <= {name.removeprefix("$") for name in VARIABLES}


def test_every_panel_says_what_it_shows_and_asks_the_chosen_data_source() -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [chosen] * (
            len(panel["targets"]) + 1
        )
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({panel["title"] for panel in panels}) == len(panels)


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert {0, 23} == {min(x for x, _ in cells), max(x for x, _ in cells)}


def test_the_file_is_written_as_grafana_exports_it() -> None:
    assert DASHBOARD.read_text() == json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
