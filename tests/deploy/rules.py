"""The rules that `deploy/prometheus` ships, and everything that they and the dashboard ask."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.deploy.prometheus import DEPLOY, RULES

DASHBOARD = DEPLOY / "grafana/naiad.json"


class Rule(NamedTuple):
    """A rule as it stands in its file. It has either an alert's name or that of what it records; the other is empty."""

    alert: str
    record: str
    expression: str
    content: dict[str, Any]


def rules() -> list[Rule]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [
        Rule(rule.get("alert", ""), rule.get("record", ""), rule["expr"], rule)
        for group in groups
        for rule in group["rules"]
    ]


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return content


def expressions() -> Iterator[str]:
    """Everything that rules and dashboard ask."""
    yield from (rule.expression for rule in rules())
    yield from (target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ()))
    yield from (mark["expr"] for mark in dashboard()["annotations"]["list"] if "expr" in mark)
