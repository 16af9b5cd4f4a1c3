"""Which file systems go by another machine's clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from naiad.repository.clocks import Clocks

LINE = "36 35 98:0 / {place} rw,noatime master:1 - {kind} /dev/root rw,errors=continue\n"


def clocks(directory: Path, *mounts: tuple[Path | str, str]) -> Clocks:
    table = directory / "mountinfo"
    table.write_text("".join(LINE.format(place=place, kind=kind) for place, kind in mounts))
    return Clocks(table)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p", "ceph", "virtiofs"])
def test_those_of_other_machines_do(tmp_path: Path, kind: str) -> None:
    assert not clocks(tmp_path, ("/", "ext4"), (tmp_path, kind)).ours(tmp_path / "models")


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "f2fs", "squashfs"])
def test_those_of_this_machine_do_not(tmp_path: Path, kind: str) -> None:
    assert clocks(tmp_path, ("/", "nfs"), (tmp_path, kind)).ours(tmp_path / "models")


def test_the_nearest_mount_counts_and_of_two_at_one_place_the_last(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    found = clocks(tmp_path, ("/", "ext4"), (tmp_path / "a", "nfs"), (inner, "nfs"), (inner, "xfs"))
    assert not found.ours(tmp_path / "a")
    assert found.ours(inner)
    assert found.ours(tmp_path / "ab")


def test_a_link_is_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    assert not clocks(tmp_path, ("/", "ext4"), (tmp_path / "share", "nfs4")).ours(tmp_path / "link")


def test_spaces_in_places_are_read(tmp_path: Path) -> None:
    place = tmp_path / "a share"
    place.mkdir()
    assert not clocks(tmp_path, ("/", "ext4"), (str(place).replace(" ", "\\040"), "cifs")).ours(place)


def test_where_nothing_tells_it_is_ours(tmp_path: Path) -> None:
    assert Clocks(tmp_path / "nothing").ours(tmp_path)
    (tmp_path / "odd").write_text("nonsense\n\n1 2 3\n")
    assert Clocks(tmp_path / "odd").ours(tmp_path)


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    assert Clocks().ours(tmp_path)
