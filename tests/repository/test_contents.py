"""A version is another one when the content of its files is, and not when only their stats are."""

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from naiad.repository import contents
from naiad.repository.contents import REMEMBERED, Digests
from naiad.repository.scan import scan
from naiad.repository.snapshot import ModelSnapshot
from naiad.repository.source import LocalDirectory
from tests.repository.files import lay

FILES = {"m/1/model.onnx": "abc", "m/1/data/w.bin": "xyz", "m/labels.txt": "a", "m/2/model.onnx": "abc"}


def model(root: Path) -> ModelSnapshot:
    return scan([LocalDirectory(root)]).models["m"]


def learn(digests: Digests) -> None:
    while digests.learn():
        pass


class Watched:
    """A repository whose files have been learnt, and what its version 1 is called."""

    def __init__(self, root: Path, learnt: bool = True) -> None:
        self.root = lay(root, FILES)
        self.file = root / "m" / "1" / "model.onnx"
        self.digests = Digests()
        self.first = self.identity()
        if learnt:
            learn(self.digests)

    def identity(self, config: str = "", number: int = 1, beside: tuple[str, ...] = ("labels.txt",)) -> str | None:
        return self.digests.identity(model(self.root), number, config, beside)


TIMES = itertools.count(1)


def touch(file: Path) -> None:
    """Give a file an mtime that no other has: two changes may have the same ctime, which is as coarse as the tick."""
    os.utime(file, ns=(1, next(TIMES)))


def write(file: Path, content: str) -> None:
    file.write_text(content)
    touch(file)


def chmod(file: Path) -> None:
    before = file.stat().st_ctime_ns
    while file.stat().st_ctime_ns == before:
        file.chmod(0o600)


def rewrite(file: Path) -> None:
    write(file, file.read_text())


def copy(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)


def link(file: Path) -> None:
    target = file.parent.parent.parent / "elsewhere"
    shutil.copy(file, target)
    file.unlink()
    file.symlink_to(target)


def copy_directory(file: Path) -> None:
    directory = file.parent
    shutil.copytree(directory, directory.with_name("1.tmp"))
    shutil.rmtree(directory)
    directory.with_name("1.tmp").rename(directory)


SAME = [touch, chmod, rewrite, copy, link, copy_directory]


@pytest.mark.parametrize("change", SAME)
def test_a_file_of_equal_content_is_the_same(tmp_path: Path, change: Callable[[Path], None]) -> None:
    watched = Watched(tmp_path)
    before = model(tmp_path).versions[1].files
    change(watched.file)
    assert model(tmp_path).versions[1].files != before
    assert watched.identity() == watched.first


@pytest.mark.parametrize("change", [rewrite, copy, link, copy_directory, touch])
def test_a_file_that_was_not_learnt_before_it_changed_counts_as_another(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    watched = Watched(tmp_path, learnt=False)
    change(watched.file)
    assert watched.identity() != watched.first


@pytest.mark.parametrize("content", ["abd", "abcd", ""])
def test_a_file_of_another_content_is_another(tmp_path: Path, content: str) -> None:
    watched = Watched(tmp_path)
    write(watched.file, content)
    changed = watched.identity()
    assert changed not in (None, watched.first)
    assert watched.identity() == changed
    learn(watched.digests)
    assert watched.identity() == changed


def test_a_file_of_another_content_and_the_same_size_and_mtime_is_another(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    stat = watched.file.stat()
    while watched.file.stat().st_ctime_ns == stat.st_ctime_ns:
        watched.file.write_text("xyz")
        os.utime(watched.file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert watched.identity() != watched.first


def test_a_file_that_comes_back_to_a_content_that_was_learnt_is_what_it_was(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write(watched.file, "xyz")
    other = watched.identity()
    write(watched.file, "abc")
    assert watched.identity() == watched.first
    write(watched.file, "xyz")
    assert watched.identity() == other


def test_only_so_many_contents_of_a_file_are_remembered(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for i in range(REMEMBERED):
        write(watched.file, f"{i:03}")
        assert watched.identity() != watched.first
    write(watched.file, "abc")
    assert watched.identity() != watched.first


def test_learning_changes_no_identity(tmp_path: Path) -> None:
    watched = Watched(tmp_path, learnt=False)
    while watched.digests.learn(1):
        assert watched.identity() == watched.first
    assert watched.identity() == watched.first


def test_a_file_that_was_added_removed_or_renamed_makes_another_version(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    seen = {watched.first}
    lay(tmp_path, {"m/1/more": ""})
    seen.add(watched.identity())
    (tmp_path / "m" / "1" / "data" / "w.bin").unlink()
    seen.add(watched.identity())
    watched.file.rename(watched.file.with_name("other.onnx"))
    seen.add(watched.identity())
    assert len(seen) == 4


def test_names_cannot_be_taken_for_one_another(tmp_path: Path) -> None:
    """A file beside the version is not one in it of the same name."""
    watched = Watched(tmp_path)
    lay(tmp_path, {"m/1/labels.txt": "a"})
    os.link(tmp_path / "m" / "1" / "labels.txt", tmp_path / "m" / "linked")
    inside = watched.identity(beside=())
    shutil.move(tmp_path / "m" / "1" / "labels.txt", tmp_path / "m" / "labels.txt")
    assert watched.identity() != inside


def test_only_files_beside_a_version_that_it_depends_on_count(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    without = watched.identity(beside=())
    lay(tmp_path, {"m/labels.txt": "b", "m/README.md": ""})
    assert watched.identity() != watched.first
    assert watched.identity(beside=()) == without
    assert watched.identity(beside=("missing.txt",)) == without


def test_another_config_makes_another_version(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert watched.identity("max_batch_size: 1") not in (watched.first, watched.identity("max_batch_size: 2"))
    assert watched.identity("") == watched.first


def test_a_version_that_cannot_be_read_is_another_than_one_that_can(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (tmp_path / "m" / "1" / "broken").symlink_to("nowhere")
    assert watched.identity() not in (None, watched.first)


def test_an_empty_version_has_an_identity(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1": None, "m/config.pbtxt": ""})
    digests = Digests()
    assert digests.identity(model(tmp_path), 1, "") == digests.identity(model(tmp_path), 1, "")


def test_an_unchanged_file_is_never_read_to_compare_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    before = model(tmp_path)
    watched.file.unlink()
    assert watched.digests.identity(before, 1, "", ("labels.txt",)) == watched.first


def test_a_file_of_another_size_is_not_read_to_compare_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write(watched.file, "abcd")
    after = model(tmp_path)
    watched.file.unlink()
    assert watched.digests.identity(after, 1, "", ("labels.txt",)) not in (None, watched.first)


def test_files_that_are_large_are_compared_when_there_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path)
    monkeypatch.setattr(contents, "READ_AT_ONCE", 2)
    touch(watched.file)
    assert watched.identity() is None
    assert watched.identity(number=2) is not None
    assert watched.digests.learn(2)
    assert watched.identity() is None
    learn(watched.digests)
    assert watched.identity() == watched.first


def test_what_an_identity_waits_for_is_read_before_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path)
    monkeypatch.setattr(contents, "READ_AT_ONCE", 2)
    lay(tmp_path, {"m/2/model.onnx": "a new file that takes several steps"})
    assert watched.identity(number=2)
    assert watched.digests.learn(1)
    touch(watched.file)
    assert watched.identity() is None
    for _ in range(3):
        watched.digests.learn(1)
    assert watched.identity() == watched.first
    learn(watched.digests)
    second = watched.identity(number=2)
    touch(tmp_path / "m" / "2" / "model.onnx")
    assert watched.identity(number=2) is None
    learn(watched.digests)
    assert watched.identity(number=2) == second


def test_a_file_that_changes_while_it_is_learnt_is_not_remembered(tmp_path: Path) -> None:
    watched = Watched(tmp_path, learnt=False)
    watched.digests.learn(1)
    write(watched.file, "xyz")
    learn(watched.digests)
    assert watched.identity() != watched.first


def test_a_file_that_vanishes_while_it_is_learnt_is_not_remembered(tmp_path: Path) -> None:
    watched = Watched(tmp_path, learnt=False)
    while not opened(watched.file):
        watched.digests.learn(1)
    before = model(tmp_path)
    watched.file.unlink()
    learn(watched.digests)
    assert watched.digests.identity(before, 1, "", ("labels.txt",)) == watched.first
    write(watched.file, "abc")
    assert watched.identity() != watched.first


def test_a_file_that_is_being_read_is_read_on_when_it_has_to_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    touch(watched.file)
    monkeypatch.setattr(contents, "READ_AT_ONCE", 2)
    assert watched.identity() is None
    watched.digests.learn(1)
    monkeypatch.setattr(contents, "READ_AT_ONCE", 3)
    assert watched.identity() == watched.first


def test_a_file_that_changes_while_it_is_compared_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path)
    monkeypatch.setattr(contents, "READ_AT_ONCE", 2)
    touch(watched.file)
    assert watched.identity() is None
    watched.digests.learn(1)
    before = model(tmp_path)
    write(watched.file, "xyz")
    learn(watched.digests)
    torn = watched.digests.identity(before, 1, "", ("labels.txt",))
    assert torn not in (None, watched.first)


def test_a_file_that_changes_again_before_it_was_compared_is_compared_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    monkeypatch.setattr(contents, "READ_AT_ONCE", 2)
    rewrite(watched.file)
    assert watched.identity() is None
    watched.digests.learn(1)
    touch(watched.file)
    assert watched.identity() is None
    learn(watched.digests)
    assert watched.identity() == watched.first
    touch(watched.file)
    assert watched.identity() is None
    write(watched.file, "another size")
    assert watched.identity() not in (None, watched.first)


def test_a_look_that_finds_a_file_as_it_was_leaves_nothing_to_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    monkeypatch.setattr(contents, "READ_AT_ONCE", 2)
    before = model(tmp_path)
    touch(watched.file)
    assert watched.identity() is None
    watched.digests.learn(1)
    assert watched.digests.identity(before, 1, "", ("labels.txt",)) == watched.first
    assert not watched.digests.learn()


def test_a_file_that_is_gone_when_it_is_to_be_read_counts_as_another(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    touch(watched.file)
    after = model(tmp_path)
    watched.file.unlink()
    assert watched.digests.identity(after, 1, "", ("labels.txt",)) not in (None, watched.first)
    assert not watched.digests.learn()


def test_files_of_models_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.digests.retain([model(tmp_path)])
    touch(watched.file)
    assert watched.identity() == watched.first
    watched.digests.retain([])
    touch(watched.file)
    assert watched.identity() != watched.first


def test_a_file_is_not_learnt_any_more_when_its_model_is_gone(tmp_path: Path) -> None:
    watched = Watched(tmp_path, learnt=False)
    watched.digests.learn(1)
    watched.digests.retain([])
    assert not watched.digests.learn()


def opened(root: Path) -> list[str]:
    """The files below `root` that this process has open."""
    paths = map(os.path.realpath, Path("/proc/self/fd").iterdir())
    return [path for path in paths if path.startswith(str(root))]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    watched = Watched(tmp_path, learnt=False)
    watched.digests.learn(1)
    assert opened(tmp_path)
    watched.digests.close()
    assert not opened(tmp_path)
    watched.digests.learn(1)
    learn(watched.digests)
    assert not opened(tmp_path)
