"""One event for each move of a version, with its fields."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from naiad.core.errors import InvalidArgument
from tests.core.scripted import eventually
from tests.repository.site import Site, opened


@pytest.fixture
def site() -> Iterator[Site]:
    with opened() as site:
        yield site


def moves(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str, str]]:
    events = [vars(record) for record in caplog.records if record.name == "naiad.repository.telling"]
    return [(event["model"], event["version"], event["from"], event["to"]) for event in events]


def test_every_move_is_one_event(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        site.want("m", (1, "a")).get()
        site.want("m", (1, "b")).get()
        eventually(lambda: len(moves(caplog)) == 8)
    assert sorted(moves(caplog)) == sorted(
        [("m", 1, "settled", "loading"), ("m", 1, "loading", "warming"), ("m", 1, "warming", "ready")] * 2
        + [("m", 1, "ready", "draining"), ("m", 1, "draining", "unloaded")]
    )


def test_what_comes_of_a_load_is_told_where_debug_is_not(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.plan["b"] = InvalidArgument("the file is truncated")
    with caplog.at_level(logging.INFO):
        site.want("m", (1, "a")).get()
        site.want("m", (2, "b"), present=(1, 2)).get()
    assert moves(caplog) == [("m", 1, "warming", "ready"), ("m", 2, "loading", "failed")]
    ready, failed = (record for record in caplog.records if record.name == "naiad.repository.telling")
    assert ready.getMessage().startswith("model m version 1 is ready after 0.")
    assert failed.getMessage() == "model m version 2 failed to load: the file is truncated"
    assert (ready.levelno, failed.levelno) == (logging.INFO, logging.ERROR)
    assert vars(failed)["reason"] == "the file is truncated"
    assert vars(ready)["seconds"] >= 0
