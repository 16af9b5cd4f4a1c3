"""The rules and scrape configs that Prometheus is given: sound, complete, and about what the server really tells."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from naiad.core.errors import FailureReason
from naiad.core.lifecycle import Phase
from naiad.observability import gpus
from naiad.observability.exposition import Family
from tests.deploy.prometheus import DEPLOY, Prometheus, promtool, require_prometheus
from tests.deploy.rules import Rule, expressions, rules
from tests.docs.pages import anchors
from tests.e2e.server import PATIENCE, Server

ROOT = DEPLOY.parent
SCRAPE, IN_KUBERNETES = DEPLOY / "prometheus/prometheus.yml", DEPLOY / "prometheus/kubernetes.yml"
UNIT_TESTS = Path(__file__).with_name("alerts_test.yml")
METRIC = re.compile(r"\b(?:naiad|nv|process)_\w+")
SELECTED = re.compile(r'\b(reason|state)(?:=~|!~|!=|=)"([^"]*)"')
PART_OF_A_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")
GPU_FAMILIES = {value.name for value in vars(gpus).values() if isinstance(value, Family)}
POD = {
    "__meta_kubernetes_pod_label_app": "naiad",
    "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
    "__meta_kubernetes_pod_phase": "Running",
    "__meta_kubernetes_pod_ip": "127.0.0.1",
    "__meta_kubernetes_pod_name": "naiad-0",
    "__meta_kubernetes_pod_node_name": "node-7",
    "__meta_kubernetes_namespace": "models",
}


ALERTS = [rule for rule in rules() if rule.alert]
every_alert = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.alert)


def test_promtool_accepts_the_scrape_config_and_its_rules() -> None:
    require_prometheus()
    printed = promtool("check", "config", "--lint-fatal", SCRAPE)
    assert f"{sum(1 for rule in rules() if rule.record)} rules found" in printed
    assert f"{len(ALERTS)} rules found" in printed


def test_each_alert_fires_on_the_series_it_is_for_and_not_on_others() -> None:
    require_prometheus()
    assert "SUCCESS" in promtool("test", "rules", UNIT_TESTS)


@every_alert
def test_an_alert_is_tested_firing_and_quiet(rule: Rule) -> None:
    cases = [
        bool(case["exp_alerts"])
        for test in yaml.safe_load(UNIT_TESTS.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == rule.alert
    ]
    assert set(cases) == {True, False}


@every_alert
def test_an_alert_says_what_happens_and_where_to_read_on(rule: Rule) -> None:
    assert rule.content["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule.content["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = rule.content["annotations"]["runbook"].partition("#")
    assert page == "docs/troubleshooting.md"
    assert anchor in anchors(ROOT / page)


def test_rules_and_dashboards_name_nothing_that_the_server_does_not_tell(served: Server) -> None:
    told = set(re.findall(r"^# TYPE (\S+)", metrics(served), re.MULTILINE)) | GPU_FAMILIES
    recorded = {rule.record for rule in rules() if rule.record}
    named = {
        name
        for expression in expressions()
        for name in METRIC.findall(re.sub("|".join(map(re.escape, sorted(recorded, reverse=True))), "", expression))
    }
    assert {name for name in named if name not in told and PART_OF_A_HISTOGRAM.sub("", name) not in told} == set()


def test_rules_and_dashboards_select_only_reasons_and_states_that_exist() -> None:
    known = {"reason": {reason.value for reason in FailureReason}, "state": {phase.value for phase in Phase}}
    selected = [found for expression in expressions() for found in SELECTED.findall(expression)]
    assert {label for label, _ in selected} == {"reason", "state"}
    for label, values in selected:
        assert set(values.split("|")) <= known[label]


def test_our_own_metrics_are_named_as_prometheus_wants_them(served: Server) -> None:
    require_prometheus()
    ours = re.findall(r"^(?:# \w+ )?(?:naiad|process)_.*\n", metrics(served), re.MULTILINE)
    assert len(ours) > 100
    assert promtool("check", "metrics", given="".join(ours)) == ""


def metrics(served: Server) -> str:
    return httpx.get(f"http://{served.metrics}/metrics", timeout=PATIENCE).text


def test_two_samples_fit_into_the_shortest_window_that_triton_s_dashboards_use() -> None:
    for path in (SCRAPE, IN_KUBERNETES):
        config = yaml.safe_load(path.read_text())
        assert int(config["global"]["scrape_interval"].removesuffix("s")) * 2 <= 30
        assert [job["job_name"] for job in config["scrape_configs"]] == ["naiad"]
        assert "scrape_interval" not in config["scrape_configs"][0]


def test_in_kubernetes_the_pods_that_ask_for_it_are_scraped_and_keep_their_names(tmp_path: Path) -> None:
    require_prometheus()
    config = yaml.safe_load(IN_KUBERNETES.read_text())
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    config["rule_files"] = []
    job["static_configs"] = [
        pod(),
        pod(annotation_prometheus_io_port="9102"),
        pod(ip="fd00::7"),
        pod(name="other", label_app="other"),
        pod(name="quiet", annotation_prometheus_io_scrape="false"),
        pod(name="early", phase="Pending"),
    ]
    with Prometheus(tmp_path, config) as prometheus:
        found = prometheus.wait_for_targets()
    named = {"job": "naiad", "pod": "naiad-0", "node": "node-7", "namespace": "models"}
    addresses = ("127.0.0.1:8002", "127.0.0.1:9102", "[fd00::7]:8002")
    assert sorted(found, key=lambda labels: labels["instance"]) == [
        named | {"instance": address} for address in addresses
    ]


def pod(**changes: str) -> dict[str, Any]:
    """A target as discovery finds a pod: on the address of one of its ports, with all that is known about it."""
    changed = {f"__meta_kubernetes_pod_{name}": value for name, value in changes.items()}
    return {"targets": ["127.0.0.1:8001"], "labels": POD | changed}
