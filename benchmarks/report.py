"""What a section found, as values, and the two ways to show it: text for a terminal, Markdown for the committed page.

Both show the same rows in the same order, so that the committed page is what the command printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""What stands around the measured part of the page."""


class Table(NamedTuple):
    """Rows of cells under `head`; the first column is text, the others are figures."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Budget(NamedTuple):
    """A ratio that must be at most `limit`, or at least."""

    what: str
    measured: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        verdict = "met" if self.met else "missed"
        return f"{self.what}: {self.measured:.2f} (budget: {bound} {self.limit:g}), {verdict}"


class Section(NamedTuple):
    """`notes` say what was measured and how, and what was left out for which reason."""

    title: str
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    budgets: Sequence[Budget] = ()


def figure(value: float) -> str:
    """A number with three digits that matter, and no fewer than its whole part has."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(section: Section) -> str:
    """The section for a terminal."""
    parts = [f"== {section.title}", *section.notes, *map(_columns, section.tables), *map(str, section.budgets)]
    return "\n".join(parts)


def markdown(section: Section) -> str:
    """The section for the page."""
    blocks = [f"### {section.title}", *section.notes, *map(_pipes, section.tables)]
    if section.budgets:
        blocks.append("\n".join(f"- {budget}" for budget in section.budgets))
    return "\n\n".join(blocks)


def replaced(page: str, block: str) -> str:
    """The page with `block` between its marks; ValueError where the page does not have both, in order."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no part between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{block.strip()}\n\n{END}{after}"


def _columns(table: Table) -> str:
    widths = [max(map(len, cells)) for cells in zip(table.head, *table.rows, strict=True)]
    return "\n".join(_aligned(row, widths) for row in (table.head, *table.rows))


def _aligned(row: Sequence[str], widths: Iterable[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()


def _pipes(table: Table) -> str:
    rule = [":--", *("--:" for _ in table.head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (table.head, rule, *table.rows))
