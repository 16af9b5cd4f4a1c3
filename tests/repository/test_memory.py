"""Whether a version fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from naiad.core.config import Device, InstanceGroup, Kind
from naiad.core.errors import ResourceExhausted
from naiad.repository.memory import LARGE, check_room, size_of

CPU = InstanceGroup("c", Kind.CPU)
GPUS = InstanceGroup("g", Kind.GPU, gpus=(0, 1))


def test_the_size_of_a_version_is_that_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"12345")
    (tmp_path / "deep" / "weights").write_bytes(b"123")
    assert size_of(tmp_path) == 8


def test_what_is_larger_than_what_is_free_is_refused_with_both_sizes_and_the_way_out() -> None:
    with pytest.raises(ResourceExhausted) as caught:
        check_room(300 * 2**20, [CPU], lambda _: 200 * 2**20)
    text = str(caught.value)
    assert "its files have 300 MiB, and 200 MiB are free on cpu" in text
    assert "--swap=replace" in text


def test_each_device_must_have_room() -> None:
    free = {Device(Kind.GPU, 0): LARGE + 1, Device(Kind.GPU, 1): LARGE - 1}
    with pytest.raises(ResourceExhausted, match="free on gpu1"):
        check_room(LARGE, [GPUS], free.get)
    check_room(LARGE, [InstanceGroup("g", Kind.GPU, gpus=(0,))], free.get)


def test_small_ones_and_devices_that_tell_nothing_are_let_through() -> None:
    check_room(LARGE - 1, [CPU], lambda _: 0)
    check_room(LARGE, [CPU, GPUS], lambda _: None)
