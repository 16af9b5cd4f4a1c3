"""Many small models in one server: what they cost."""

from __future__ import annotations

from tests.drills.figures import Figures, Scale
from tests.drills.fleet import COUNTS, LINES, Fleet, measure, table

FEW = (10, 40)
IDLE_SECS, RESCANS = 1, 1
MOST_THREADS_MORE = 6
"""Runners start with the load, so two servers of the same size may differ by some."""
MOST_IDLE = 3.0
"""CPU seconds of an idle minute with 1000 models: a twentieth of a core."""


def test_many_models_cost_little_at_rest_and_no_threads(scale: Scale, figures: Figures) -> None:
    if scale is Scale.FULL:
        fleets = [measure(count) for count in COUNTS]
    else:
        fleets = [measure(count, IDLE_SECS, RESCANS) for count in FEW]
    of = ", ".join(str(fleet.models) for fleet in fleets)
    for line in LINES:
        figures.tell(f"{line.what}: {of} models", ", ".join(map(line.cell, fleets)))
    fewest, most = fleets[0], fleets[-1]
    more = most.threads - fewest.threads
    figures.tell("threads that more models take", more, f"at most {MOST_THREADS_MORE}", more <= MOST_THREADS_MORE)
    figures.tell("CPU seconds of an idle minute", most.idle_cpu, f"at most {MOST_IDLE:g}", most.idle_cpu <= MOST_IDLE)


def test_the_table_has_a_column_for_each_fleet_and_a_line_for_each_cost() -> None:
    head, rule, *lines = table([_fleet(300), _fleet(1000)]).splitlines()
    assert head == "|  | 300 models | 1000 models | what would halve it |"
    assert rule == "| :-- | --: | --: | :-- |"
    assert len(lines) == len(LINES)
    assert "| CPU ms of a look at all | 50.0 | 50.0 |" in lines[3]


def _fleet(models: int) -> Fleet:
    return Fleet(models, 1, 1, 1, 0.05, 0.001, 0.001, 0.02, 0.02, 21, 2**27)
