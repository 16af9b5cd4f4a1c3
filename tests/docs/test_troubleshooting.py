"""Every message that docs/troubleshooting.md quotes is really said, and every alert finds its section."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from naiad.core.engine import Engine
from naiad.core.errors import Unavailable
from tests.docs import situations
from tests.docs.pages import DOCS, ROOT, anchors, of_language

PAGE = DOCS / "troubleshooting.md"
LEAST = 12
"""Characters that a quoted message must have: fewer would be found anywhere."""
RUNBOOK = re.compile(r"docs/troubleshooting\.md#([\w-]+)")
SITUATIONS = (
    situations.starts,
    situations.models,
    situations.slow_load,
    situations.tls_files,
    situations.requests,
    situations.limits,
    situations.stopping,
)


def quoted() -> Iterator[tuple[int, str]]:
    """Every message of the page, with its line."""
    for block in of_language(PAGE, "text"):
        yield from enumerate(block.text.splitlines(), block.line)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that is said when things go wrong."""
    lines = [line for each in SITUATIONS for line in each(tmp_path_factory.mktemp("wrong") / each.__name__)]
    return "\n".join([*lines, too_early()])


def too_early() -> str:
    """What an engine tells before the first models are known, which a server passes in a moment."""
    with pytest.raises(Unavailable) as refused:
        Engine().lookup("digits", None)
    return f"{refused.value.code.value}: {refused.value}"


@cache
def pattern(message: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, message.split("..."))))


@pytest.mark.timeout(180)
def test_every_message_is_said_by_the_server_or_the_commands(said: str) -> None:
    messages = list(quoted())
    assert len(messages) > 40
    assert [(line, each) for line, each in messages if pattern(each).search(said) is None] == []


def test_no_message_is_so_short_that_anything_would_do() -> None:
    assert [message for _, message in quoted() if len(message.replace("...", "").strip()) < LEAST] == []


def test_every_alert_has_its_section() -> None:
    files = sorted((ROOT / "deploy" / "prometheus").glob("*.yml"))
    linked = {found for file in files for found in RUNBOOK.findall(Path(file).read_text())}
    assert linked
    assert linked - anchors(PAGE) == set()
