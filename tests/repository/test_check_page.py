"""docs/check.md says of the check what the check does."""

import re
from dataclasses import fields
from pathlib import Path

from naiad import backends
from naiad.backends import plans
from naiad.core.problems import Cause, Problem
from naiad.repository.check import Finding
from naiad.repository.render import FEW
from naiad.repository.verdicts import BETTER, Verdict

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "check.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
FIRST = [row[0] for row in ROWS]


def test_every_verdict_has_a_row_in_its_order() -> None:
    values = [verdict.value for verdict in Verdict]
    assert [cell for cell in FIRST if cell in values] == values


def test_every_reason_to_run_better_has_a_row() -> None:
    start = FIRST.index("reason")
    assert FIRST[start + 2 : start + 2 + len(BETTER)] == list(BETTER)


def test_every_backend_stands_in_the_row_of_its_plan() -> None:
    told = {what.partition(";")[0]: set(re.findall(r"`(\w+)`", names)) for names, what, *_ in ROWS if "`" in names}
    assert told["served"] == set(backends.SERVED)
    assert told["not yet"] == set(plans.NOT_YET)
    assert told["never"] == set(plans.NEVER)


def test_every_part_of_a_finding_and_every_cause_is_named() -> None:
    named = set(re.findall(r"`([\w ]+)`", PAGE))
    assert set(Finding(Problem("x")).as_json()) <= named
    assert {field.name for field in fields(Problem)} <= named
    assert {cause.value for cause in Cause} <= named


def test_the_number_of_models_that_are_shown_whole_is_right() -> None:
    assert f"Up to {FEW} models are shown whole" in PAGE
