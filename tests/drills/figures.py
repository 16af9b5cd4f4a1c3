"""Figures that drills tell: what was measured, the bound, and whether it holds; one table of all at the end of a run.

A figure that does not hold fails its test, once all figures of the test have been told.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Scale(Enum):
    """How much of a drill is done: SHORT in `make test`, FULL in `make drill`."""

    SHORT = "short"
    FULL = "full"

    def of(self, short: int, full: int) -> int:
        """Which of two numbers is meant."""
        return full if self is Scale.FULL else short


class Figure(NamedTuple):
    """bound: in words, empty where a figure is told for its own sake."""

    what: str
    got: str
    bound: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.got}" + (f" (expected: {self.bound})" if self.bound else "")


class Figures:
    """What one test tells."""

    def __init__(self) -> None:
        self.told: list[Figure] = []

    def tell(self, what: str, got: object, bound: str = "", holds: bool = True) -> None:
        """got: a float is shown with three digits that matter."""
        self.told.append(Figure(what, f"{got:.3g}" if isinstance(got, float) else str(got), bound, holds))

    @property
    def missed(self) -> list[Figure]:
        return [figure for figure in self.told if not figure.holds]


def show(figures: Sequence[tuple[str, Figure]], width: int) -> str:
    """The table of what tests told, each figure with the name of its test."""
    table = Table(title="Figures", title_justify="left", expand=False)
    for head in ("drill", "what", "got", "expected", ""):
        table.add_column(head, overflow="fold")
    for test, (what, got, bound, holds) in figures:
        table.add_row(test, what, got, bound, ("holds" if holds else "MISSED") if bound else "")
    console = Console(width=max(160, width), force_terminal=False, color_system=None, markup=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()
