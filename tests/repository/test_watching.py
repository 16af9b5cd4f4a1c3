"""What the system tells of changes, on real directories."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import watchfiles

from naiad.repository.watching import Watcher
from tests.core.scripted import PATIENCE, eventually

HOUR = 3600.0


class Heard:
    """What a watcher says."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.everything = 0

    def changed(self, names: Collection[str] | None) -> None:
        if names is None:
            self.everything += 1
        else:
            self.names.update(names)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "models" / "a" / "1").mkdir(parents=True)
    return tmp_path / "models"


@pytest.fixture
def watching(root: Path, heard: Heard) -> Iterator[Watcher]:
    watcher = Watcher([root], heard.changed, HOUR)
    watcher.start()
    probe = root / "probe"
    turn = iter(range(1_000_000))

    def listens() -> bool:
        probe.write_text(str(next(turn)))
        return "probe" in heard.names

    eventually(listens)
    heard.names.clear()
    yield watcher
    watcher.stop()


@pytest.mark.usefixtures("watching")
def test_a_change_deep_in_a_model_names_the_model(root: Path, heard: Heard) -> None:
    (root / "a" / "1" / "model.onnx").write_bytes(b"x")
    eventually(lambda: "a" in heard.names)
    assert heard.names <= {"a", "models", "probe"}


@pytest.mark.usefixtures("watching")
def test_new_removed_and_renamed_models_are_named(root: Path, heard: Heard) -> None:
    (root / "b").mkdir()
    eventually(lambda: "b" in heard.names)
    (root / "b" / "1").mkdir()
    (root / "b" / "1" / "x").write_bytes(b"x")
    (root / "b").rename(root / "c")
    eventually(lambda: "c" in heard.names)
    heard.names.clear()
    (root / "a" / "1").rmdir()
    (root / "a").rmdir()
    eventually(lambda: "a" in heard.names)


@pytest.mark.usefixtures("watching")
def test_a_switched_link_of_a_mount_means_everything(root: Path, heard: Heard) -> None:
    (root / "..new").symlink_to("a")
    (root / "..new").rename(root / "..data")
    eventually(lambda: heard.everything > 0)


@pytest.mark.usefixtures("watching")
def test_a_repository_that_is_another_directory_now_is_watched_anew(root: Path, heard: Heard) -> None:
    root.rename(root.parent / "old")
    (root / "a").mkdir(parents=True)

    def named() -> bool:
        (root / "a" / "x").write_text(str(len(heard.names)))
        return heard.everything > 0

    # The next look is an hour away; a change in what was watched brings it forward.
    (root.parent / "old" / "probe").write_text("again")
    eventually(named)
    heard.names.clear()

    def heard_again() -> bool:
        (root / "a" / "y").write_text(str(len(heard.names)))
        return "a" in heard.names

    eventually(heard_again)


def test_what_cannot_be_watched_is_told_once_and_tried_again(
    root: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []
    enough = Event()

    def refuse(*_: Any, **__: Any) -> Any:
        tried.append(1)
        if len(tried) == 3:
            enough.set()
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "watch", refuse)
    watcher = Watcher([root], heard.changed, 0.01)
    watcher.start()
    assert enough.wait(PATIENCE)
    watcher.stop()
    (told,) = [record.getMessage() for record in caplog.records if record.name.startswith("naiad")]
    assert "OS file watch limit reached" in told
    assert "fs.inotify.max_user_watches" in told


def test_a_directory_that_comes_later_is_watched_then(tmp_path: Path, heard: Heard) -> None:
    root = tmp_path / "later"
    watcher = Watcher([root], heard.changed, 0.05)
    watcher.start()
    (root / "a").mkdir(parents=True)

    def named() -> bool:
        (root / "a" / "x").write_text(str(len(heard.names)))
        return "a" in heard.names

    eventually(named)
    watcher.stop()


def test_a_models_own_directory_is_named_by_itself(root: Path, heard: Heard) -> None:
    watcher = Watcher([root / "a"], heard.changed, HOUR)
    watcher.start()

    def named() -> bool:
        (root / "a" / "1" / "x").write_text(str(len(heard.names)))
        return "a" in heard.names

    eventually(named)
    watcher.stop()
