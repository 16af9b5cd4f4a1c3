"""What a run prints and what it writes into the page are the same figures."""

import pytest

from benchmarks.report import BEGIN, END, Budget, Section, Table, figure, markdown, replaced, text
from benchmarks.servers import ROOT

SECTION = Section(
    "Servers",
    ["Two of them."],
    [Table(("server", "us"), [("one", "1.50"), ("another", "120")])],
    [Budget("one / another", 0.0125, 2)],
)


def test_text_has_columns_as_wide_as_their_cells() -> None:
    assert text(SECTION).splitlines() == [
        "== Servers",
        "Two of them.",
        "server     us",
        "one      1.50",
        "another   120",
        "one / another: 0.01 (budget: at most 2), met",
    ]


def test_markdown_has_the_cells_of_the_text() -> None:
    assert markdown(SECTION).splitlines() == [
        "### Servers",
        "",
        "Two of them.",
        "",
        "| server | us |",
        "| :-- | --: |",
        "| one | 1.50 |",
        "| another | 120 |",
        "",
        "- one / another: 0.01 (budget: at most 2), met",
    ]


@pytest.mark.parametrize(
    ("measured", "at_least", "met"), [(4.0, False, True), (4.01, False, False), (4.0, True, True), (3.99, True, False)]
)
def test_a_budget_holds_up_to_its_bound(measured: float, at_least: bool, met: bool) -> None:
    budget = Budget("a / b", measured, 4, at_least=at_least)
    assert budget.met is met
    assert str(budget).endswith(", met" if met else ", missed")


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0.00"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12346")])
def test_a_figure_has_three_digits_or_its_whole_part(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replaced(page, "new\n") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert replaced(replaced(page, "new"), "new") == replaced(page, "new")


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_both_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="no part between"):
        replaced(page, "new")


def test_the_committed_page_has_a_place_for_the_figures() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert "\nnew figures\n" in replaced(page, "new figures")
