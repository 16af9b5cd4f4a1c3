"""What drills have in common: a scale, and figures that are shown in one table at the end of the run."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.drills.figures import Figure, Figures, Scale, show

LONGEST_SECS = 1800
_OF_TEST = pytest.StashKey[Figures]()
_OF_RUN = pytest.StashKey[list[tuple[str, Figure]]]()


@pytest.fixture(
    params=[
        Scale.SHORT,
        pytest.param(Scale.FULL, marks=[pytest.mark.drill, pytest.mark.timeout(LONGEST_SECS)]),
    ],
    ids=lambda scale: scale.value,
)
def scale(request: pytest.FixtureRequest) -> Scale:
    found: Scale = request.param
    return found


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    told = request.node.stash[_OF_TEST] = Figures()
    yield told
    request.config.stash.setdefault(_OF_RUN, []).extend((request.node.name, figure) for figure in told.told)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test whose figures do not hold fails, when it has told all of them."""
    yield
    missed = item.stash[_OF_TEST].missed if _OF_TEST in item.stash else []
    if missed:
        pytest.fail("; ".join(map(str, missed)), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if figures := config.stash.get(_OF_RUN, []):
        terminalreporter.ensure_newline()
        terminalreporter.write(show(figures, terminalreporter._tw.fullwidth))
