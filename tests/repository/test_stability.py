"""What is being written is not served, what has settled is, and what comes back was never away."""

import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naiad.core.problems import Problem, Severity
from naiad.repository.markers import PATIENCE_NS, Publisher
from naiad.repository.names import PUBLISHING, READY
from naiad.repository.scan import scan
from naiad.repository.snapshot import FileStat, Marker, ModelSnapshot, VersionFiles
from naiad.repository.source import LocalDirectory
from naiad.repository.stability import LOOK_AGAIN, Judgement, Settling
from tests.repository.files import lay

ROOT = Path("/r/m")
SETTLE = 1.0
EPOCH = 1_800_000_000_000_000_000
"""Wall time, in nanoseconds, when the monotonic clock showed 0."""
INODES = itertools.count(1)

Files = Mapping[str, FileStat]


def at(now: float) -> int:
    return EPOCH + round(now * 1e9)


def file(written: float, size: int = 1, inode: int | None = None) -> FileStat:
    """A file as it was last written at a time of the monotonic clock; its mtime tells nothing."""
    return FileStat(size, 7, next(INODES) if inode is None else inode, at(written), 1)


def directory(files: Files, number: int = 1, made: float = -100, inode: int = 1000, **more: Files) -> VersionFiles:
    markers = {f".{name}": Marker(stat) for name, stat in more.get("markers", {}).items()}
    own = FileStat(4096, 7, inode, at(made), 1)
    return VersionFiles(ROOT / str(number), files, markers=markers, copies=more.get("copies", {}), stat=own)


def model(
    *versions: VersionFiles,
    config: FileStat | None = None,
    files: Files | None = None,
    text: bytes = b"",
    markers: Mapping[str, Marker] | None = None,
    problems: tuple[Problem, ...] = (),
    listed: bool = True,
) -> ModelSnapshot:
    by_number = {int(version.path.name): version for version in versions}
    path = ROOT / "config.pbtxt"
    return ModelSnapshot(
        "m", ROOT, path, text if config else None, files or {}, by_number, problems,
        markers=markers or {}, config_stat=config, listed=listed,
    )  # fmt: skip


OLD = file(-100)


class Site:
    """A model that is looked at, at times of the monotonic clock that the wall clock follows."""

    def __init__(self, ours: bool = True, settle_secs: float = SETTLE) -> None:
        self.alive: set[int] = set()
        self.faults: dict[int, str] = {}
        self.ours = ours
        self.settling = Settling(
            settle_secs,
            ended=lambda publisher: publisher.pid > 0 and publisher.pid not in self.alive,
            incomplete=lambda _, number: self.faults.get(number, ""),
        )

    def look(self, now: float, snapshot: ModelSnapshot | None, *, wall: float | None = None) -> Judgement:
        return self.settling.judge(snapshot, now, at(now if wall is None else wall), self.ours)

    def serves(self, snapshot: ModelSnapshot) -> "Site":
        """After a look, long ago, at what has settled."""
        assert self.look(-51, snapshot).view is not None or not self.ours
        assert self.look(-50, snapshot).view == snapshot
        return self


def served(judgement: Judgement) -> dict[int, Files]:
    return {n: version.files for n, version in judgement.view.versions.items()} if judgement.view else {}


def test_what_is_old_has_settled_at_first_sight() -> None:
    snapshot = model(directory({"model.onnx": OLD}), config=file(-5))
    assert Site().look(0, snapshot) == Judgement(snapshot, {})


def test_what_was_written_a_moment_ago_waits_until_it_is_old_enough() -> None:
    site, snapshot = Site(), model(directory({"model.onnx": OLD, "w.bin": file(-0.25)}))
    assert site.look(0, snapshot) == Judgement(replace(snapshot, versions={}), {1: "still changing: 'w.bin'"}, 0.75)
    assert site.look(0.5, snapshot).due == 0.75
    assert site.look(0.75, snapshot) == Judgement(snapshot, {})


def test_a_file_that_is_written_again_waits_again() -> None:
    site = Site()
    site.look(0, model(directory({"model.onnx": file(0, 1, 5)})))
    found = site.look(1, model(directory({"model.onnx": file(0.5, 2, 5)})))
    assert (served(found), found.due) == ({}, 1.5)


def test_without_a_settling_time_everything_has_settled() -> None:
    snapshot = model(directory({"model.onnx": file(0)}), config=file(0))
    site = Site(settle_secs=0)
    assert site.look(0, snapshot) == Judgement(snapshot, {})
    assert site.look(1, None) == Judgement(None, {}, gone=True)
    assert Site(ours=False, settle_secs=0).look(0, snapshot) == Judgement(snapshot, {})


def test_a_version_that_changes_keeps_its_files_until_it_has_settled() -> None:
    before, after = directory({"model.onnx": OLD}), directory({"model.onnx": file(0, 2, OLD.inode)})
    site = Site().serves(model(before))
    found = site.look(0.5, model(after))
    assert (served(found), found.waiting) == ({1: before.files}, {1: "still changing: 'model.onnx'"})
    assert served(site.look(1, model(after))) == {1: after.files}


def test_versions_settle_each_for_itself() -> None:
    one, two = directory({"model.onnx": OLD}), directory({"model.onnx": file(0)}, 2)
    found = Site().look(0, model(one, two))
    assert (served(found), list(found.waiting)) == ({1: one.files}, [2])


def test_a_renamed_tree_has_settled_though_its_directory_was_changed_just_now() -> None:
    before, after = directory({"model.onnx": OLD}), directory({"model.onnx": file(-90)}, made=0, inode=1001)
    site = Site().serves(model(before))
    assert site.look(0, model(after)) == Judgement(model(after), {})


def test_a_renamed_tree_with_fewer_files_has_settled_as_well() -> None:
    before, after = directory({"a": OLD, "b": OLD}), directory({"a": file(-90)}, made=0, inode=1001)
    site = Site().serves(model(before))
    assert site.look(0, model(after)) == Judgement(model(after), {})


def test_an_empty_directory_settles_by_its_own_ctime() -> None:
    site, empty = Site(), model(directory({}, made=0))
    assert site.look(0.5, empty) == Judgement(replace(empty, versions={}), {1: "still changing"}, 1)
    assert site.look(1, empty) == Judgement(empty, {})


def test_a_directory_that_cannot_be_looked_at_settles_when_it_stays_so() -> None:
    site, gone = Site(), model(VersionFiles(ROOT / "1", {}))
    assert site.look(0, gone).due == 1
    assert site.look(1, gone) == Judgement(gone, {})


def test_a_copy_that_goes_on_holds_its_version_back() -> None:
    site = Site()
    copying = model(directory({"model.onnx": OLD}, copies={".w.bin.a1B2c3": file(0)}))
    assert site.look(0.5, copying).waiting == {1: "still changing: '.w.bin.a1B2c3'"}
    assert served(site.look(1, copying)) == {1: {"model.onnx": OLD}}


def test_files_that_vanish_one_by_one_leave_no_half_of_a_version() -> None:
    whole, half = directory({"a": OLD, "b": OLD}), directory({"b": OLD}, made=0)
    site = Site().serves(model(whole))
    found = site.look(0, model(half))
    assert (served(found), found.due, list(found.waiting)) == ({1: whole.files}, 1, [1])
    assert served(site.look(0.5, model(directory({}, made=0.4)))) == {1: whole.files}
    assert served(site.look(1.4, model(directory({}, made=0.4)))) == {1: whole.files}
    assert served(site.look(1.5, model(directory({}, made=0.4)))) == {1: {}}


def test_a_file_that_vanishes_and_comes_back_was_never_away() -> None:
    whole = model(directory({"a": OLD, "b": OLD}))
    site = Site().serves(whole)
    assert served(site.look(0, model(directory({"b": OLD})))) == served(site.look(0.5, whole))
    assert site.look(1, whole) == Judgement(whole, {})


@pytest.mark.parametrize("ours", [True, False])
def test_a_version_is_removed_when_it_has_been_away_for_the_settling_time(ours: bool) -> None:
    one, two = directory({"model.onnx": OLD}), directory({"model.onnx": OLD}, 2)
    site = Site(ours).serves(model(one, two))
    assert served(site.look(0, model(two))) == {1: one.files, 2: two.files}
    assert site.look(0.9, model(two)).due == 1
    assert site.look(1, model(two)) == Judgement(model(two), {})


def test_a_version_that_comes_back_in_time_was_never_away() -> None:
    one = model(directory({"model.onnx": OLD}))
    site = Site().serves(one)
    for now in (0, 0.5):
        assert served(site.look(now, model())) == served(site.look(now + 0.4, one)) == {1: {"model.onnx": OLD}}
    assert site.look(5, one) == Judgement(one, {})


def test_a_version_that_is_deleted_and_copied_again_keeps_its_files_meanwhile() -> None:
    before = directory({"model.onnx": OLD})
    site = Site().serves(model(before))
    site.look(0, model())
    half = directory({"model.onnx": file(0.5)}, inode=1001)
    assert served(site.look(0.6, model(half))) == {1: before.files}
    assert served(site.look(1.4, model(half))) == {1: before.files}
    assert served(site.look(1.5, model(half))) == {1: half.files}


def test_a_model_is_gone_when_it_has_been_away_for_the_settling_time() -> None:
    here = model(directory({"model.onnx": OLD}))
    site = Site().serves(here)
    assert site.look(0, None) == Judgement(here, {}, 1)
    assert site.look(0.5, here) == Judgement(here, {})
    assert site.look(0.9, None) == Judgement(here, {}, 1.9)
    assert site.look(1.8, None).gone is False
    assert site.look(1.9, None) == Judgement(None, {}, gone=True)
    assert site.look(3, None) == Judgement(None, {}, gone=True)
    other = model(directory({"model.onnx": OLD}, 2))
    assert site.look(4, other) == Judgement(other, {}), "nothing is remembered of it"


def test_a_model_that_was_never_served_is_gone_too() -> None:
    site = Site()
    site.look(0, model(directory({"model.onnx": file(0)}), config=file(0)))
    assert site.look(0.1, None) == Judgement(None, {}, 1.1)
    assert site.look(1.1, None).gone


@pytest.mark.parametrize(
    ("config", "files", "text"),
    [(file(0), {}, b""), (OLD, {"labels.txt": file(0)}, b'label_filename: "labels.txt"')],
)
def test_a_model_stays_as_it_was_until_its_config_and_what_that_names_have_settled(
    config: FileStat, files: Files, text: bytes
) -> None:
    one, two = directory({"model.onnx": OLD}), directory({"model.onnx": OLD}, 2)
    before, after = model(one, config=OLD), model(one, two, config=config, files=files, text=text)
    site = Site().serves(before)
    found = site.look(0.5, after)
    assert (found.view, found.due, list(found.waiting)) == (before, 1, [1, 2])
    assert set(found.waiting.values()) == {f"still changing: '{next(iter(files), '/r/m/config.pbtxt')}'"}
    assert site.look(1, after) == Judgement(after, {})
    new = Site().look(0.5, after)
    assert (new.view, list(new.waiting)) == (None, [1, 2])


def test_a_file_beside_the_config_that_it_does_not_name_holds_nothing_back() -> None:
    snapshot = model(directory({"model.onnx": OLD}), config=OLD, files={"train.log": file(0)}, text=b"name: 'm'")
    assert Site().look(0, snapshot) == Judgement(snapshot, {})


def test_a_config_that_vanishes_is_waited_for() -> None:
    before, after = model(directory({"model.onnx": OLD}), config=OLD), model(directory({"model.onnx": OLD}))
    site = Site().serves(before)
    assert site.look(0, after).view == before
    assert site.look(1, after).view == after


UNREADABLE = Problem("cannot be read: Permission denied")


def test_what_cannot_be_read_counts_when_it_stays_so() -> None:
    good = directory({"model.onnx": OLD})
    bad = replace(good, problem=UNREADABLE)
    site = Site().serves(model(good))
    assert site.look(0, model(bad)).view == model(good)
    assert site.look(1, model(bad)) == Judgement(model(bad), {})
    assert Site().look(0, model(bad)).waiting == {1: "still changing: 'model.onnx'"}


def test_a_warning_about_a_model_holds_nothing_back() -> None:
    snapshot = model(directory({"model.onnx": OLD}), problems=(replace(UNREADABLE, severity=Severity.WARNING),))
    assert Site().look(0, snapshot) == Judgement(snapshot, {})


def test_a_model_that_cannot_be_looked_into_keeps_its_versions() -> None:
    good = model(directory({"model.onnx": OLD}), config=OLD)
    bad = model(problems=(UNREADABLE,), listed=False)
    site = Site().serves(good)
    assert site.look(0, bad).view == good
    for now in (1, 100):
        assert site.look(now, bad) == Judgement(replace(bad, versions=good.versions), {})
    assert site.look(101, good) == Judgement(good, {})
    plain = model(directory({"model.onnx": OLD}))
    site = Site().serves(plain)
    assert [site.look(now, bad).view for now in (0, 1)] == [plain, replace(bad, versions=plain.versions)]


# Clocks


def test_on_a_file_system_with_a_clock_of_its_own_observed_change_decides() -> None:
    site, snapshot = Site(ours=False), model(directory({"model.onnx": OLD}))
    assert site.look(0, snapshot).due == 1
    changed = model(directory({"model.onnx": file(-99, 2, OLD.inode)}))
    assert site.look(0.9, changed).due == 1.9
    assert site.look(1.8, changed).view == replace(changed, versions={})
    assert site.look(1.9, changed) == Judgement(changed, {})


def test_a_ctime_in_the_future_is_not_waited_for() -> None:
    site, snapshot = Site(), model(directory({"model.onnx": file(1000)}))
    assert site.look(0, snapshot).due == 1
    assert site.look(1, snapshot) == Judgement(snapshot, {})


def test_a_ctime_a_little_in_the_future_is_waited_for() -> None:
    site, snapshot = Site(), model(directory({"model.onnx": file(0.05)}))
    assert site.look(0, snapshot).due == 1.05
    assert site.look(1.06, snapshot) == Judgement(snapshot, {})


def test_a_file_that_was_written_later_than_its_ctime_says_gives_a_foreign_clock_away() -> None:
    site = Site().serves(model(directory({"model.onnx": OLD})))
    written = model(directory({"model.onnx": file(-90, 2, OLD.inode)}))
    assert site.look(0, written).waiting == {1: "still changing: 'model.onnx'"}
    assert site.look(1, written) == Judgement(written, {})
    new = model(directory({"model.onnx": file(-90, 3)}, inode=1001))
    assert site.look(100, new).due == 101, "it is remembered of the model"


def test_another_file_of_the_same_name_gives_no_clock_away() -> None:
    site = Site().serves(model(directory({"model.onnx": OLD})))
    moved = model(directory({"model.onnx": file(-90, 2)}, inode=1001))
    assert site.look(0, moved) == Judgement(moved, {})


def test_a_link_that_is_older_than_the_one_before_gives_no_clock_away() -> None:
    """Of a link its own ctime counts, and it may be exchanged for an older one to the same file."""
    site = Site().serves(model(directory({"model.onnx": file(-60, 1, 5)})))
    older = model(directory({"model.onnx": file(-70, 1, 5)}, inode=1001))
    assert site.look(0, older) == Judgement(older, {})


@pytest.mark.parametrize("leap", [3600, -3600])
def test_after_the_clock_was_set_observed_change_decides_for_a_time(leap: float) -> None:
    site = Site().serves(model(directory({"model.onnx": OLD})))
    assert site.look(0, model(directory({"model.onnx": OLD}))).waiting == {}
    changed = model(directory({"model.onnx": file(0.1, 2, OLD.inode)}))
    assert site.look(0.2, changed, wall=0.2 + leap).due == 1.2
    assert site.look(1.2, changed, wall=1.2 + leap) == Judgement(changed, {})
    again = model(directory({"model.onnx": file(5 + leap, 3, OLD.inode)}))
    assert site.look(5.2, again, wall=5.2 + leap).due == pytest.approx(6)


# Markers


def test_ready_settles_at_once_unless_a_file_is_newer() -> None:
    files = {"model.onnx": file(-0.5), "w.bin": file(-0.2)}
    for made, settled in ((-0.2, True), (-0.1, True), (-0.3, False)):
        snapshot = model(directory(files, markers={"ready": file(made)}))
        assert served(Site().look(0, snapshot)) == ({1: files} if settled else {})
        assert served(Site(ours=False).look(0, snapshot)) == ({1: files} if settled else {})


def test_ready_in_a_models_directory_counts_for_all_of_the_model() -> None:
    snapshot = model(
        directory({"model.onnx": file(-0.5)}), directory({"model.onnx": file(-0.1)}, 2), config=file(-0.4),
        markers={READY: Marker(file(-0.3))},
    )  # fmt: skip
    found = Site().look(0, snapshot)
    assert (list(served(found)), list(found.waiting)) == ([1], [2])


def test_ready_says_nothing_of_files_that_vanish() -> None:
    mark = {"ready": OLD}
    whole, half = directory({"a": OLD, "b": OLD}, markers=mark), directory({"b": OLD}, markers=mark)
    site = Site().serves(model(whole))
    assert served(site.look(0, model(half))) == {1: whole.files}
    assert served(site.look(1, model(half))) == {1: half.files}


def publishing(made: float = 0, **says: object) -> Marker:
    return Marker(file(made)._replace(mtime_ns=at(made)), json.dumps(says).encode() if says else b"")


def marked(marker: Marker, files: Files) -> ModelSnapshot:
    return model(replace(directory(files), markers={PUBLISHING: marker, READY: Marker(file(1000))}))


def test_publishing_holds_a_version_back_until_it_is_gone() -> None:
    before, after = {"model.onnx": OLD}, {"model.onnx": file(-90, 2)}
    site = Site().serves(model(directory(before)))
    for now in (0, 100, 599):
        found = site.look(now, marked(publishing(), after))
        assert (served(found), found.due) == ({1: before}, min(now + LOOK_AGAIN, 600))
        assert found.waiting == {1: "held back by '/r/m/1/.publishing' until 2027-01-15 08:10:00Z"}
    assert served(site.look(599, model(directory(after)))) == {1: after}


def test_publishing_that_says_nothing_expires_ten_minutes_after_it_was_written() -> None:
    assert PATIENCE_NS == 600 * 10**9
    assert served(Site().look(599.9, marked(publishing(), {"a": OLD}))) == {}
    assert served(Site().look(600, marked(publishing(), {"a": OLD}))) == {1: {"a": OLD}}
    site = Site()
    assert site.look(0, marked(publishing(), {"a": OLD})).waiting
    assert site.look(601, marked(publishing(300), {"a": OLD})).waiting, "written again"


def test_publishing_from_the_future_expires_ten_minutes_after_it_was_seen() -> None:
    site, snapshot = Site(), marked(publishing(100_000), {"a": OLD})
    assert site.look(0, snapshot).waiting
    assert site.look(599, snapshot).waiting
    assert served(site.look(600, snapshot)) == {1: {"a": OLD}}


def test_publishing_holds_back_as_long_as_it_says() -> None:
    snapshot = marked(publishing(pid=7, host="h", expires=at(3) / 1e9), {"a": OLD})
    site = Site()
    site.alive = {7}
    assert site.look(0, snapshot).due == 3
    assert served(site.look(3, snapshot)) == {1: {"a": OLD}}


def test_publishing_of_a_process_that_has_ended_holds_nothing_back() -> None:
    snapshot = marked(publishing(pid=7, host="h", expires=at(1000) / 1e9), {"a": OLD})
    site = Site()
    site.alive = {7}
    assert site.look(0, snapshot).due == LOOK_AGAIN
    site.alive = set()
    assert served(site.look(5, snapshot)) == {1: {"a": OLD}}


def test_a_marker_is_asked_for_its_process_with_what_it_says() -> None:
    asked: list[Publisher] = []

    def ended(publisher: Publisher) -> bool:
        asked.append(publisher)
        return False

    settling = Settling(1, ended=ended)
    settling.judge(marked(publishing(pid=7, host="h", expires=at(1000) / 1e9), {"a": OLD}), 0, at(0))
    assert asked == [Publisher(7, "h", at(1000))]


def test_publishing_in_a_models_directory_holds_all_of_it_back() -> None:
    before = model(directory({"model.onnx": OLD}), config=OLD)
    after = model(
        directory({"model.onnx": file(-90)}), directory({"model.onnx": OLD}, 2), config=file(-90),
        markers={PUBLISHING: publishing(pid=1)},
    )  # fmt: skip
    site = Site().serves(before)
    site.alive = {1}
    found = site.look(0, after)
    assert found.view == before
    assert set(found.waiting.values()) == {"held back by '/r/m/.publishing' until 2027-01-15 08:10:00Z"}


# Completeness


def test_a_version_that_is_not_whole_keeps_its_files_as_they_were() -> None:
    before, after = {"model.onnx": OLD}, {"model.onnx": file(-90, 2)}
    site = Site().serves(model(directory(before)))
    site.faults[1] = "'model.onnx' is empty"
    found = site.look(0, model(directory(after)))
    assert found == Judgement(model(directory(before)), {1: "incomplete: 'model.onnx' is empty"})
    assert site.look(1, model(directory(before))) == Judgement(model(directory(before)), {})
    site.faults.clear()
    assert served(site.look(2, model(directory(after)))) == {1: after}


def test_a_version_that_has_not_settled_is_not_asked_whether_it_is_whole() -> None:
    asked: list[int] = []

    def incomplete(_: ModelSnapshot, number: int) -> str:
        asked.append(number)
        return ""

    settling = Settling(1, incomplete=incomplete)
    snapshot = model(directory({"a": file(0)}), directory({"a": OLD}, 2))
    settling.judge(snapshot, 0, at(0))
    assert asked == [2]
    settling.judge(snapshot, 1, at(1))
    settling.judge(snapshot, 2, at(2))
    assert asked == [2, 1]


# On a disk


def shown(root: Path) -> ModelSnapshot:
    return scan([LocalDirectory(root)]).models["m"]


def test_a_tree_that_is_renamed_in_has_settled_and_one_that_is_copied_has_not(tmp_path: Path) -> None:
    lay(tmp_path, {"models/m/config.pbtxt": "", "models/m/1/model.onnx": "abc", "store/model.onnx": "abc"})
    settling, written = Settling(60), time.time_ns()
    assert list(settling.judge(shown(tmp_path / "models"), 0, written).waiting) == [1]
    (tmp_path / "store").rename(tmp_path / "models" / "m" / "2")
    later = settling.judge(shown(tmp_path / "models"), 100, written + 100 * 10**9)
    assert (list(served(later)), later.waiting) == ([1, 2], {})


def test_a_copy_waits_whatever_times_it_gives_its_files(tmp_path: Path) -> None:
    source = lay(tmp_path, {"m/1/model.onnx": "abc"}) / "m" / "1"
    os.utime(source / "model.onnx", (0, 0))
    shutil.copytree(source, tmp_path / "m" / "2", copy_function=shutil.copy2)
    copied = shown(tmp_path)
    assert copied.versions[2].files["model.onnx"].mtime_ns == 0
    settling, now = Settling(60), time.time_ns()
    assert list(settling.judge(copied, 0, now).waiting) == [1, 2]
    assert list(served(settling.judge(shown(tmp_path), 61, now + 61 * 10**9))) == [1, 2]


# Any order of operations


@dataclass
class Disk:
    """A model's directory whose every change is known. clock: how far ahead the file system's clock is."""

    clock: float = 0
    now: float = 0
    versions: dict[int, dict[str, FileStat]] = field(default_factory=dict)
    inodes: dict[int, int] = field(default_factory=dict)
    config: FileStat | None = None
    lost: dict[int, float] = field(default_factory=dict)
    configured: float = -1000
    looked: dict[int, frozenset[str]] = field(default_factory=dict)
    made: dict[int, float] = field(default_factory=dict)

    def write(self, number: int, name: str) -> None:
        files = self.versions.setdefault(number, {})
        self.inodes.setdefault(number, next(INODES))
        self.made[number] = self.now + self.clock
        inode = files[name].inode if name in files else None
        files[name] = file(self.now + self.clock, next(INODES), inode)

    def delete(self, number: int, name: str) -> None:
        if self.versions.get(number, {}).pop(name, None):
            self.made[number] = self.now + self.clock
            if name in self.looked.get(number, ()):
                self.lost[number] = self.now

    def remove(self, number: int, _: str) -> None:
        self.versions.pop(number, None)
        self.inodes.pop(number, None)

    def rename_in(self, number: int, name: str) -> None:
        self.versions[number] = {name: file(self.now + self.clock - 500), "more": file(self.now + self.clock - 600)}
        self.inodes[number] = next(INODES)
        self.made[number] = self.now + self.clock
        self.lost.pop(number, None)

    def configure(self, _: int, __: str) -> None:
        self.config = file(self.now + self.clock, next(INODES), self.config.inode if self.config else None)
        self.configured = self.now

    def changed(self, number: int) -> float:
        """When what is in a version's directory was changed last, as far as anybody could know."""
        written = [(stat.ctime_ns - EPOCH) / 1e9 - self.clock for stat in self.versions[number].values()]
        return max([*written, self.lost.get(number, -1000)])

    def snapshot(self) -> ModelSnapshot:
        self.looked = {number: frozenset(files) for number, files in self.versions.items()}
        versions = [directory(dict(f), n, self.made[n], self.inodes[n]) for n, f in self.versions.items()]
        return model(*versions, config=self.config)


Operation = Callable[[Disk, int, str], None]
OPERATIONS: list[Operation] = [
    Disk.write, Disk.write, Disk.delete, Disk.remove, Disk.rename_in, Disk.configure, lambda *_: None,
]  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.integers(1, 2),
        st.sampled_from(["a", "b"]),
        st.sampled_from([0.0, 0.0, 0.1, 0.3, 0.7, 1.0, 1.5]),
        st.booleans(),
    ),
    max_size=40,
)
CLOCKS = st.sampled_from([(0.0, True), (0.0, False), (-5000.0, False), (5000.0, False), (0.7, False), (7000.0, True)])


class Checked:
    """Looks at a disk, and checks each judgement against what really happened."""

    def __init__(self, disk: Disk, ours: bool) -> None:
        self.disk = disk
        self.site = Site(ours)
        self.view: ModelSnapshot | None = None
        self.present: dict[int, float] = {}

    def look(self) -> Judgement:
        disk, snapshot = self.disk, self.disk.snapshot()
        found = self.site.look(disk.now, snapshot)
        self.present |= dict.fromkeys(snapshot.versions, disk.now)
        self._check_versions(snapshot, found)
        if found.view and (self.view is None or found.view.config_stat != self.view.config_stat):
            assert disk.configured + SETTLE <= disk.now + 1e-6
        assert found.view or self.view is None
        assert found.due is None or found.due > disk.now
        assert found.due is not None or not found.waiting
        assert not found.gone
        self.view = found.view
        return found

    def _check_versions(self, snapshot: ModelSnapshot, found: Judgement) -> None:
        disk, before, after = self.disk, self.view.versions if self.view else {}, served(found)
        for number, files in after.items():
            if number not in before or files != before[number].files:
                assert files == snapshot.versions[number].files
                assert disk.changed(number) + SETTLE <= disk.now + 1e-6
                assert number not in found.waiting
        for number in before.keys() - after.keys():
            assert self.present[number] + SETTLE <= disk.now + 1e-6
        for number, version in snapshot.versions.items():
            assert number in found.waiting or after[number] == version.files


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, clock=CLOCKS)
def test_whatever_happens_only_what_has_settled_is_served_and_in_the_end_all_of_it(
    steps: list[tuple[Operation, int, str, float, bool]], clock: tuple[float, bool]
) -> None:
    disk = Disk(clock[0])
    checked = Checked(disk, clock[1])
    for operation, number, name, pause, look in steps:
        operation(disk, number, name)
        if look:
            checked.look()
        disk.now = round(disk.now + pause, 3)
    found = checked.look()
    for _ in range(20):
        if found.due is None:
            break
        disk.now = found.due
        found = checked.look()
    assert found == Judgement(disk.snapshot(), {})


def test_a_version_from_which_a_file_went_before_the_first_look_waits() -> None:
    there = directory({"w.bin": OLD})
    assert there.stat is not None
    emptied = replace(there, stat=there.stat._replace(mtime_ns=at(-0.25)))
    site = Site()
    found = site.look(0, model(emptied))
    assert (served(found), found.due) == ({}, 0.75)
    assert served(site.look(0.75, model(emptied))) == {1: {"w.bin": OLD}}


def test_a_directory_with_an_mtime_of_tomorrow_tells_nothing() -> None:
    there = directory({"w.bin": OLD})
    assert there.stat is not None
    snapshot = model(replace(there, stat=there.stat._replace(mtime_ns=at(86400))))
    assert served(Site().look(0, snapshot)) == {1: {"w.bin": OLD}}
