"""The thread that looks, on real directories: what it tells the manager, and when it looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest

from naiad.repository import surveyor as module
from naiad.repository.asked import Asked
from naiad.repository.loading import Loader
from naiad.repository.manager import Manager
from naiad.repository.survey import Findings, Survey, Watch
from naiad.repository.surveyor import Surveyor
from naiad.repository.wanted import Candidate
from tests.core.scripted import eventually
from tests.repository.files import lay

CONFIG = 'backend: "identity"'


class Told:
    """A manager that remembers what it is told."""

    def __init__(self) -> None:
        self.first: list[list[str]] = []
        self.candidates: dict[str, Candidate] = {}
        self.gone: set[str] = set()

    def want(self, candidates: Iterable[Candidate], *, gone: Collection[str] = (), first: bool = False) -> None:
        found = {candidate.name: candidate for candidate in candidates}
        if first:
            self.first.append(sorted(name for name, candidate in found.items() if candidate.wanted))
        self.candidates |= found
        self.gone |= set(gone)

    def versions(self, name: str) -> list[int]:
        return sorted(self.candidates[name].wanted) if name in self.candidates else []


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.told = Told()
        self._surveyors: list[Surveyor] = []

    def survey(self, settle: float) -> Survey:
        return Survey([self.root], cast(Loader, None), Asked(), Watch(settle))

    def start(self, settle: float = 0.0, poll: float = 0.0, survey: Survey | None = None) -> Surveyor:
        surveyor = Surveyor(survey or self.survey(settle), cast(Manager, self.told), settle, poll)
        self._surveyors.append(surveyor)
        surveyor.start()
        eventually(lambda: bool(self.told.first))
        return surveyor

    def stop(self) -> None:
        for surveyor in self._surveyors:
            surveyor.stop()

    def model(self, name: str, *versions: int) -> None:
        lay(self.root, {f"{name}/config.pbtxt": CONFIG, **{f"{name}/{number}/x": "" for number in versions}})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    place.model("a", 1)
    yield place
    place.stop()


def test_the_first_pass_has_what_there_is(place: Place) -> None:
    place.start()
    assert place.told.first == [["a"]]


def test_the_first_pass_waits_once_for_what_is_about_to_settle(place: Place) -> None:
    place.start(settle=0.3)
    assert place.told.first == [["a"]]


def test_a_change_that_it_is_told_of_is_looked_at(place: Place) -> None:
    surveyor = place.start()
    place.model("a", 2)
    place.model("b", 7)
    surveyor.changed({"a"})
    eventually(lambda: place.told.versions("a") == [2])
    assert place.told.versions("b") == []
    surveyor.changed(None)
    eventually(lambda: place.told.versions("b") == [7])


def test_without_being_told_it_finds_changes_by_itself(place: Place) -> None:
    place.start(poll=0.02)
    place.model("b", 1)
    eventually(lambda: place.told.versions("b") == [1])


def test_what_has_to_settle_is_looked_at_again_in_time(place: Place) -> None:
    surveyor = place.start(settle=0.2)
    place.model("b", 1)
    surveyor.changed({"b"})
    eventually(lambda: place.told.versions("b") == [1])


def test_what_was_removed_is_told(place: Place) -> None:
    place.start(poll=0.02)
    (place.root / "a" / "1" / "x").unlink()
    (place.root / "a" / "1").rmdir()
    (place.root / "a" / "config.pbtxt").unlink()
    (place.root / "a").rmdir()
    eventually(lambda: place.told.gone == {"a"})


def test_a_look_that_fails_is_told_and_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AFTER_FAILURE", 0.01)
    survey = place.survey(0.0)
    look, failures = survey.look, iter([MemoryError("none left"), RecursionError("too deep")])

    def fragile(only: Collection[str] | None = None) -> Findings:
        for failure in failures:
            raise failure
        return look(only)

    surveyor = place.start(survey=survey)
    monkeypatch.setattr(survey, "look", fragile)
    place.model("b", 1)
    surveyor.changed({"b"})
    eventually(lambda: place.told.versions("b") == [1])
    assert caplog.text.count("looking at the repositories failed") == 2


def test_it_ends_at_once_whatever_it_waits_for(place: Place) -> None:
    surveyor = place.start(settle=0.0, poll=3600.0)
    surveyor.stop()
    assert not surveyor._thread.is_alive()
    place._surveyors.clear()


def test_in_idle_time_it_learns_what_is_in_the_files_so_that_a_touch_is_no_change(place: Place) -> None:
    surveyor = place.start()
    before = place.told.candidates["a"].wanted[1].identity
    eventually(lambda: not surveyor._learning)
    (place.root / "a" / "1" / "x").touch()
    (place.root / "b").mkdir()
    surveyor.changed({"a", "b"})
    eventually(lambda: "b" in place.told.candidates)
    assert place.told.candidates["a"].wanted[1].identity == before
