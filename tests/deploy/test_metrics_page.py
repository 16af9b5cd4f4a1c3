"""docs/metrics.md and the server agree: every family, its type and its labels, every reason and state."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import httpx

from naiad.core.errors import FailureReason
from naiad.core.histogram import Histogram
from naiad.core.history import LIFE_NS, Coming, ModelHistory, Standing
from naiad.core.lifecycle import Phase
from naiad.observability import gpus, model_metrics
from naiad.observability.exposition import Family, text
from tests.deploy.rules import rules
from tests.docs.pages import DOCS
from tests.e2e.server import PATIENCE, Server

PAGE = DOCS / "metrics.md"
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ((?:`\w+` ?)*)\|", re.MULTILINE)
FIRST_CELL = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
SAMPLE = re.compile(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="')
OF_HISTOGRAMS = {"le"}
READY = Standing(Phase.READY)


class Described(NamedTuple):
    """A family: what kind it is of, and the labels that tell its series apart."""

    name: str
    kind: str
    labels: frozenset[str]


def section(title: str) -> str:
    """The text below a heading, to the next one."""
    _, *parts = HEADING.split(PAGE.read_text())
    return dict(zip(parts[::2], parts[1::2], strict=True))[title]


def described(page: str) -> list[Described]:
    """The families of the tables in a text."""
    return [Described(name, kind, frozenset(re.findall(r"\w+", labels))) for name, kind, labels in ROW.findall(page)]


def told(exposition: str) -> Iterator[Described]:
    """The families that a server tells, with all labels that their samples have."""
    kinds: dict[str, str] = dict(TYPE.findall(exposition))
    labels: dict[str, set[str]] = {name: set() for name in kinds}
    for line in exposition.splitlines():
        found = SAMPLE.match(line)
        if found is not None:
            name = line.partition("{")[0].partition(" ")[0]
            family = name if name in kinds else found.group(1)
            labels[family].update(LABEL.findall(found.group(2) or ""))
    for name, kind in kinds.items():
        yield Described(name, kind, frozenset(labels[name] - OF_HISTOGRAMS))


def test_the_page_has_every_family_of_the_server_once_with_its_type_and_labels(served: Server) -> None:
    exposition = httpx.get(f"http://{served.metrics}/metrics", timeout=PATIENCE).text
    rest = PAGE.read_text().replace(section("GPUs"), "").replace(section("Changes"), "")
    assert sorted(described(rest)) == sorted(told(exposition))


def test_the_page_has_every_family_of_models_that_change() -> None:
    at = 1700000000.0
    coming = Coming(Phase.FAILED, "b", at, retry_at=at)
    history = ModelHistory("m", {1: Standing(Phase.READY, coming=coming)}, drain_ns=Histogram(LIFE_NS, (1,) * 9, 9))
    changing, calm = (set(told(text(model_metrics.blocks([of])))) for of in (history, ModelHistory("m", {1: READY})))
    assert set(described(section("Changes"))) == changing - calm


def test_the_page_has_every_family_of_gpus() -> None:
    families = [value for value in vars(gpus).values() if isinstance(value, Family)]
    page = described(section("GPUs"))
    assert sorted(page) == sorted(Described(family.name, family.kind, frozenset({"gpu_uuid"})) for family in families)


def test_the_page_has_every_reason_and_says_as_the_rules_do_whose_fault_it_is() -> None:
    table = section("Failures").partition("| reason |")[2]
    faults = dict(re.findall(r"^\| `(\w+)` \| (client|server) \|", table, re.MULTILINE))
    assert faults.keys() == {reason.value for reason in FailureReason}
    (ratio,) = (rule.expression for rule in rules() if rule.record == "model:naiad_server_errors:ratio_rate5m")
    excluded = re.search(r'reason!~"([^"]*)"', ratio)
    assert excluded is not None
    assert set(excluded.group(1).split("|")) == {reason for reason, whose in faults.items() if whose == "client"}


def test_the_page_has_every_state() -> None:
    table = section("Models").partition("| state |")[2]
    assert FIRST_CELL.findall(table) == [phase.value for phase in Phase]
