"""When what is written into a model's directory has come to an end. Pure: the time and what was seen are arguments.

- Files have settled when the newest ctime among them is older than the settling time by the wall clock. A finished
  tree that is renamed in has settled at first sight; one that is copied has not, whatever mtime its files were given.
  The ctime of a directory counts only where there is nothing in it.
- Where ctimes cannot be compared with our clock, files have settled when they were seen unchanged for that time: on a
  file system with a clock of its own, for a time after our clock was set, for a ctime in the future, and for a model
  of which a file was written later than its ctime says.
- So it is with what leaves no ctime: a file that is gone, and what cannot be read. Of a version that was not seen
  before, the mtime of its directory tells when a file may have gone.
- `.ready` settles at once, unless a file is newer. `.publishing` holds back until it is gone, has expired or its
  process has ended. In a model's directory both count for all of the model.
- Until a version has settled and is complete, its former files stay in the view, if there were any. Until the config
  and the files beside it that the config names have settled, the model stays as it was.
- A version or a model is removed when it has been away for the settling time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from naiad.core.problems import errors
from naiad.repository import markers
from naiad.repository.markers import Publisher
from naiad.repository.names import PUBLISHING, READY
from naiad.repository.snapshot import FileStat, Marker, ModelSnapshot, VersionFiles

TOLERANCE_NS = 100_000_000
"""How far clocks that are the same may be apart: ctimes are as coarse as the kernel's tick."""
CHANGING = "still changing"
LOOK_AGAIN = 5.0
"""Seconds after which a marker's process is asked for again."""

Incomplete = Callable[[ModelSnapshot, int], str]
"""Why a version that has settled is not whole; empty where it is, or where that cannot be told."""


class Judgement(NamedTuple):
    """What a look comes to.

    view: the model as it is to be served from, None while nothing of it ever settled. waiting: the versions of which
    something newer is on the disk, and what they wait for; also those that are not in the view at all. due: when to
    look again though nothing was seen to change, by the monotonic clock. gone: the model has been removed; then
    there is no view.
    """

    view: ModelSnapshot | None
    waiting: Mapping[int, str]
    due: float | None = None
    gone: bool = False


class _Look(NamedTuple):
    """The time of a look, and whether ctimes can be compared with it."""

    now: float
    wall_ns: int
    ours: bool


class _Wait(NamedTuple):
    """Why something is waited for, empty where it is not, and for how many seconds at most."""

    reason: str = ""
    secs: float = inf


class _Seen(NamedTuple):
    """What a look tells of files that settle together.

    newest_ns: their newest ctime, None where nothing has one. place: the directory, for what is in one that can be
    exchanged as a whole. fault: what cannot be read.
    """

    files: Mapping[str, FileStat]
    newest_ns: int | None
    place: tuple[int, int] | None = None
    fault: str = ""


@dataclass(slots=True)
class _Trace:
    """How files changed from look to look, by the monotonic clock.

    lost: when a file was last seen to be gone. listed: when, before the first look, a file may have gone.
    """

    seen: _Seen
    changed: float
    lost: float = -inf
    listed: float = -inf

    def note(self, seen: _Seen, now: float) -> None:
        if seen.place == self.seen.place and self.seen.files.keys() - seen.files.keys():
            self.lost = now
        if seen != self.seen:
            self.changed = now
        self.seen = seen


class Settling:
    """The memory of one model's looks. settle_secs: the settling time.

    ended: whether a marker's process has certainly ended. incomplete: asked of a version that has settled, before it
    comes into the view.
    """

    def __init__(
        self,
        settle_secs: float,
        *,
        ended: Callable[[Publisher], bool] = lambda _: False,
        incomplete: Incomplete = lambda _model, _number: "",
    ) -> None:
        self._settle = settle_secs
        self._ended = ended
        self._incomplete = incomplete
        self._clock = _Clock(settle_secs)
        self._view: ModelSnapshot | None = None
        self._own: _Trace | None = None
        self._versions: dict[int, _Trace] = {}
        self._away: dict[int, float] = {}
        self._gone: float | None = None
        self._markers: dict[tuple[str, FileStat], int] = {}

    def judge(self, snapshot: ModelSnapshot | None, now: float, wall_ns: int, ours: bool = True) -> Judgement:
        """What to make of a look that began at `now`, on the monotonic clock, and `wall_ns`, since 1970.

        snapshot: None where the repository can be read and has no such model. ours: whether the clock of the file
        system is that of this machine.
        """
        if snapshot is None:
            return self._absent(now)
        self._gone = None
        own, versions = _own(snapshot), {n: _version(v) for n, v in snapshot.versions.items()}
        changes = [(self._own, own), *((self._versions.get(n), seen) for n, seen in versions.items())]
        look = _Look(now, wall_ns, self._clock.is_ours(changes, now, wall_ns) and ours)
        self._own = _noted(self._own, own, now)
        for number, seen in versions.items():
            listed = _listed(snapshot.versions[number], look)
            self._versions[number] = _noted(self._versions.get(number), seen, now, listed)
        self._note_away(snapshot, now)
        self._note_markers(snapshot, wall_ns)
        return self._judge(snapshot, self._own, look)

    def _absent(self, now: float) -> Judgement:
        if self._gone is None:
            self._gone = now
        if self._gone + self._settle - now > 0:
            return Judgement(self._view, {}, self._gone + self._settle)
        self._view = self._own = None
        self._versions, self._away, self._markers = {}, {}, {}
        return Judgement(None, {}, gone=True)

    def _note_away(self, snapshot: ModelSnapshot, now: float) -> None:
        """Since when versions are away; of a directory that was not looked into nothing is known."""
        known = snapshot.versions.keys() if snapshot.listed else self._versions.keys()
        away = {number: self._away.get(number, now) for number in self._versions.keys() - known}
        self._away = {number: since for number, since in away.items() if since + self._settle - now > 0}
        for number in away.keys() - self._away.keys():
            del self._versions[number]

    def _note_markers(self, snapshot: ModelSnapshot, wall_ns: int) -> None:
        there = [(str(path), marker.stat) for path, marker in _publishing(snapshot)]
        self._markers = {key: self._markers.get(key, wall_ns) for key in there}

    def _judge(self, snapshot: ModelSnapshot, own: _Trace, look: _Look) -> Judgement:
        whole = self._wait(own, snapshot.path, snapshot.markers, {}, look)
        waits = {number: self._wait_for(snapshot, number, look) for number in snapshot.versions}
        if whole.reason:
            waits = dict.fromkeys(waits, whole)
        else:
            waits = {n: wait if wait.reason else self._whole(snapshot, n) for n, wait in waits.items()}
            self._view = replace(snapshot, versions=self._settled(snapshot, waits))
        secs = [whole.secs, *(wait.secs for wait in waits.values())]
        secs += [since + self._settle - look.now for since in self._away.values()]
        due = min(secs)
        reasons = {number: wait.reason for number, wait in sorted(waits.items()) if wait.reason}
        return Judgement(self._view, reasons, None if due == inf else look.now + due)

    def _settled(self, snapshot: ModelSnapshot, waits: Mapping[int, _Wait]) -> dict[int, VersionFiles]:
        """What of each version is to be served: its files as they are, or as they were."""
        former = self._view.versions if self._view else {}
        kept = {n: v for n, v in former.items() if n in self._versions and (n not in waits or waits[n].reason)}
        settled = {n: v for n, v in snapshot.versions.items() if not waits[n].reason}
        return dict(sorted((kept | settled).items()))

    def _wait_for(self, snapshot: ModelSnapshot, number: int, look: _Look) -> _Wait:
        version = snapshot.versions[number]
        return self._wait(self._versions[number], version.path, version.markers, snapshot.markers, look)

    def _whole(self, snapshot: ModelSnapshot, number: int) -> _Wait:
        """Whether a version that has settled is complete; one that is served is."""
        former = self._view.versions.get(number) if self._view else None
        if former is not None and former.files == snapshot.versions[number].files:
            return _Wait()
        why = self._incomplete(snapshot, number)
        return _Wait(f"incomplete: {why}" if why else "")

    def _wait(
        self, trace: _Trace, path: object, own: Mapping[str, Marker], above: Mapping[str, Marker], look: _Look
    ) -> _Wait:
        if PUBLISHING in own and (held := self._held(f"{path}/{PUBLISHING}", own[PUBLISHING], look)).reason:
            return held
        ready = any(READY in there and _is_newest(there[READY], trace.seen) for there in (own, above))
        secs = trace.lost + self._settle - look.now if ready else self._unsettled(trace, look)
        return _Wait(_changing(trace.seen), secs) if secs > 0 else _Wait()

    def _held(self, path: str, marker: Marker, look: _Look) -> _Wait:
        publisher = markers.publisher(marker, self._markers[path, marker.stat])
        left = (publisher.expires_ns - look.wall_ns) / 1e9
        if left <= 0 or self._ended(publisher):
            return _Wait()
        return _Wait(f"held back by '{path}' until {markers.date(publisher.expires_ns)}", min(left, LOOK_AGAIN))

    def _unsettled(self, trace: _Trace, look: _Look) -> float:
        """For how many seconds files have not settled yet, if nothing else happens to them."""
        seen, observed = trace.seen, trace.changed + self._settle - look.now
        lost = max(trace.lost, trace.listed) + self._settle - look.now
        if seen.newest_ns is None:
            return observed if seen.fault else lost
        age_ns = look.wall_ns - seen.newest_ns
        if not look.ours or seen.fault or age_ns < -TOLERANCE_NS:
            return observed
        return max(lost, (self._settle * 1e9 - age_ns) / 1e9)


class _Clock:
    """Whether ctimes can be compared with our clock."""

    def __init__(self, settle_secs: float) -> None:
        self._settle = settle_secs
        self._before: tuple[float, int] | None = None
        self._set = -inf
        self._foreign = False

    def is_ours(self, changes: list[tuple[_Trace | None, _Seen]], now: float, wall_ns: int) -> bool:
        """Judge from two looks, and from what changed in between."""
        if self._before:
            then, wall_then_ns = self._before
            if abs((wall_ns - wall_then_ns) - (now - then) * 1e9) > TOLERANCE_NS:
                self._set = now
            elif any(_is_older(was.seen, seen, wall_then_ns) for was, seen in changes if was):
                self._foreign = True
        self._before = now, wall_ns
        return not self._foreign and self._set + self._settle - now <= 0


def _is_older(was: _Seen, seen: _Seen, wall_ns: int) -> bool:
    """Whether a file was written after a time, and its ctime says that it was not. Another inode tells nothing."""
    both = ((was.files[name], stat) for name, stat in seen.files.items() if name in was.files)
    return any(
        before != stat
        and (before.inode, before.device) == (stat.inode, stat.device)
        and before.ctime_ns < stat.ctime_ns < wall_ns - TOLERANCE_NS
        for before, stat in both
    )


def _listed(version: VersionFiles, look: _Look) -> float:
    """When a file last came into a version's directory or went from it, by the monotonic clock: its mtime says so."""
    if version.stat is None or not version.files:
        return -inf
    age_ns = look.wall_ns - version.stat.mtime_ns
    return look.now - age_ns / 1e9 if age_ns >= -TOLERANCE_NS else -inf


def _noted(trace: _Trace | None, seen: _Seen, now: float, listed: float = -inf) -> _Trace:
    if trace is None:
        return _Trace(seen, now, listed=listed)
    trace.note(seen, now)
    return trace


def _own(model: ModelSnapshot) -> _Seen:
    """The config, and the files beside it that the config names: others are nobody's."""
    config = model.config or b""
    files = {name: stat for name, stat in model.files.items() if name.encode("utf-8", "surrogateescape") in config}
    if model.config_stat:
        files[str(model.config_path)] = model.config_stat
    return _Seen(files, _newest(files), fault="; ".join(map(str, errors(model.problems))))


def _version(version: VersionFiles) -> _Seen:
    """A version's files, and the copies that go on among them."""
    files = {**version.files, **version.copies}
    stat = version.stat
    newest_ns = _newest(files) or (stat.ctime_ns if stat else None)
    fault = str(version.problem or ("" if newest_ns is not None else "gone"))
    return _Seen(files, newest_ns, (stat.inode, stat.device) if stat else None, fault)


def _newest(files: Mapping[str, FileStat]) -> int | None:
    return max((stat.ctime_ns for stat in files.values()), default=None)


def _is_newest(marker: Marker, seen: _Seen) -> bool:
    return marker.stat.ctime_ns >= (_newest(seen.files) or 0)


def _changing(seen: _Seen) -> str:
    """The reason to wait, with the file that was written last."""
    if not seen.files:
        return CHANGING
    return f"{CHANGING}: '{max(seen.files, key=lambda name: seen.files[name].ctime_ns)}'"


def _publishing(model: ModelSnapshot) -> Iterator[tuple[str, Marker]]:
    """Where somebody is still writing."""
    for path, there in ((model.path, model.markers), *((v.path, v.markers) for v in model.versions.values())):
        if PUBLISHING in there:
            yield f"{path}/{PUBLISHING}", there[PUBLISHING]
