"""Files come in whichever order: what is half is never wanted, and what is there is served in the end.

No version goes before the next one is there. The scanner on a real disk, what settles and the lifecycle are tried
together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naiad.core.lifecycle import Coming, Held, Verb, next_actions, retry_after
from naiad.repository.snapshot import FileStat, ModelSnapshot
from naiad.repository.stability import Judgement, Settling
from tests.repository.drops import BAD, CHECKED, EPOCH_NS, MANNERS, Disk, Manner, is_whole, removed

SETTLE = 1.0
SHORT, LONG = 0.45 * SETTLE, 3 * SETTLE
"""The longest pauses: two manners take turns, so that one is never without a step for as long as files settle."""
TICK = 0.004
"""Whatever happens takes some time, at the least that which the clock of ctimes takes for a step."""
NUMBERS = (1, 2, 3)
Files = frozenset[tuple[str, FileStat]]


class Drop:
    """Somebody at work on a version: `step` does the next thing, and says whether it was not the last.

    half: the versions that may be half meanwhile.
    """

    def __init__(self, disk: Disk, manner: Manner, number: int, good: bool) -> None:
        self.manner = manner
        self.numbers = NUMBERS if manner.whole_model else (number,)
        self.half = () if manner.harmless else self.numbers
        self._steps: Iterator[None] = manner.way(disk, number, good)

    def step(self) -> bool:
        return next(self._steps, self) is None


@dataclass
class Served:
    """What a manager would have: the rules of the lifecycle, and loads that end when the test says so."""

    slots: dict[int, Held] = field(default_factory=dict)
    failures: int = 0

    @property
    def serving(self) -> dict[int, str]:
        return {number: held.serving for number, held in self.slots.items() if held.serving is not None}

    def want(self, wanted: Mapping[int, str], judged: Judgement, now: float) -> None:
        present = {*(judged.view.versions if judged.view else ()), *judged.waiting}
        for verb, number in next_actions(wanted, self.slots, now, waiting=judged.waiting, present=present):
            held = self.slots.get(number, Held())
            if verb is Verb.LOAD:
                self.slots[number] = held._replace(coming=Coming(wanted[number]))
            elif verb is Verb.DROP:
                self.slots[number] = held._replace(coming=None)
            else:
                self._unload(number, wanted, judged, present)

    def _unload(self, number: int, wanted: Mapping[int, str], judged: Judgement, present: set[int]) -> None:
        replaced = [other for other in wanted if other in self.serving and other != number]
        nothing = not (wanted or judged.waiting or present)
        assert replaced or nothing, f"version {number} goes, and nothing is there in its place: {self.slots}"
        assert nothing or number not in present or len(replaced) == len(wanted), f"{number} is there, and goes early"
        self.slots[number] = self.slots[number]._replace(serving=None)

    def end_loads(self, bad: set[str], now: float) -> None:
        for number, held in self.slots.items():
            coming = held.coming
            if coming is None or coming.failed:
                continue
            if coming.identity in bad:
                self.failures += 1
                failed = coming._replace(failed=True, retry_at=now + retry_after(1))
                self.slots[number] = held._replace(coming=failed)
            else:
                self.slots[number] = Held(serving=coming.identity)


class Site:
    """Disk, look, and what is served; `whole`: how each version was whenever nobody was at work on it."""

    def __init__(self, root: Path, ours: bool) -> None:
        self.disk = Disk(root)
        self.served = Served()
        self.judged = Judgement(None, {})
        self.whole: dict[int, set[Files]] = {number: set() for number in NUMBERS}
        self.bad: set[str] = set()
        self._ours = ours
        self._settling = Settling(SETTLE, incomplete=self._incomplete)

    def look(self) -> None:
        now = self.disk.now
        self.judged = self._settling.judge(self.disk.look(), now, EPOCH_NS + round(now * 1e9), self._ours)
        view = self.judged.view
        for number, version in view.versions.items() if view else ():
            files = frozenset(version.files.items())
            assert files in self.whole[number], f"version {number} is half: {sorted(version.files)}, at {now}"
        self.act()

    def act(self) -> None:
        self.served.want(wanted(self.judged.view), self.judged, self.disk.now)

    def note(self, busy: set[int]) -> None:
        """Remember what there is of versions that nobody is at work on."""
        snapshot = self.disk.look()
        for number, version in snapshot.versions.items() if snapshot else ():
            if number not in busy:
                self.whole[number].add(frozenset(version.files.items()))
                if (version.path / CHECKED).is_file() and BAD in (version.path / CHECKED).read_bytes():
                    self.bad.add(identity(version.files))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and look whenever that is due."""
        until = self.disk.now + seconds
        while self.judged.due is not None and self.judged.due <= until:
            self.disk.now = max(self.disk.now + TICK, self.judged.due)
            self.look()
        self.disk.now = max(self.disk.now, until)

    def end_loads(self) -> None:
        self.served.end_loads(self.bad, self.disk.now)
        self.act()

    def _incomplete(self, model: ModelSnapshot, number: int) -> str:
        """Of the file that tells it; a version without one is whole as far as anybody knows."""
        version = model.versions[number]
        if CHECKED not in version.files:
            return ""
        return "" if is_whole((version.path / CHECKED).read_bytes()) else "too short"


def identity(files: Mapping[str, FileStat]) -> str:
    return repr(sorted(files.items()))


def wanted(view: ModelSnapshot | None) -> dict[int, str]:
    """The latest version alone."""
    latest = max(view.versions, default=None) if view else None
    return {} if view is None or latest is None else {latest: identity(view.versions[latest].files)}


def drops(disk: Disk) -> st.SearchStrategy[Drop]:
    return st.builds(Drop, st.just(disk), st.sampled_from(MANNERS), st.sampled_from(NUMBERS), st.booleans())


def work(site: Site, data: st.DataObject) -> None:
    """Two drops at a time, of different versions, in turns; looks and ends of loads come in between."""
    left, active = data.draw(st.integers(1, 6)), list[Drop]()
    while left or active:
        busy = {number for drop in active for number in drop.half}
        if left and len(active) < 2:
            drop, left = data.draw(drops(site.disk)), left - 1
            if not {number for other in active for number in other.numbers} & {*drop.numbers}:
                active.append(drop)
        if not active:
            continue
        drop = active.pop(0)
        busy |= {*drop.half}
        if drop.step():
            active.append(drop)
        else:
            busy -= {*drop.half}
        site.note(busy)
        if data.draw(st.booleans()):
            site.look()
        if data.draw(st.booleans()):
            site.end_loads()
        patient = active and all(other.manner.patient for other in active)
        site.pass_time(data.draw(st.floats(TICK, LONG if patient else SHORT)))


def settle(site: Site) -> None:
    """Nobody does anything any more, and there is time for everything."""
    for _ in range(4):
        site.look()
        site.pass_time(2 * SETTLE)
        site.end_loads()
    site.look()


@pytest.mark.parametrize("ours", [True, False], ids=["our clock", "another clock"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_served_is_whole_whatever_the_order_and_in_the_end_what_is_there(
    ours: bool, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as root:
        site = Site(Path(root), ours)
        site.look()
        work(site, data)
        settle(site)
        there, view = site.disk.look(), site.judged.view
        assert view == there
        assert site.judged.waiting == {}
        latest = wanted(view)
        good = {number: name for number, name in latest.items() if name not in site.bad}
        assert good.items() <= site.served.serving.items()
        assert site.served.serving == latest or not good


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_version_is_served_from_its_first_good_drop_until_it_is_removed(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as root:
        site = Site(Path(root), ours=True)
        first = Drop(site.disk, MANNERS[0], 1, True)
        while first.step():
            site.note({1})
        site.note(set())
        settle(site)
        assert site.served.serving.keys() == {1}
        for _ in range(data.draw(st.integers(1, 4))):
            drop = data.draw(drops(site.disk))
            if drop.manner.way is removed:
                continue
            while drop.step():
                site.note({*drop.half})
                site.look()
                site.end_loads()
                assert site.served.serving
                site.pass_time(data.draw(st.floats(TICK, 2 * SHORT)))
            site.note(set())
            settle(site)
            assert site.served.serving
