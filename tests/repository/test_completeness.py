"""A file that was cut, or reserved and not yet filled, is told as far as its format tells, and nothing else is."""

import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from naiad.core.problems import Problem
from naiad.repository import onnx_structure, safetensors_structure, wire, zip_structure
from naiad.repository.completeness import Completeness
from naiad.repository.snapshot import ModelSnapshot, VersionFiles
from naiad.repository.structure import Structure
from naiad.repository.walking import read_version
from naiad.repository.windows import PAGE, Window
from tests.models import build
from tests.repository.files import lay


def missing(directory: Path) -> str:
    return Completeness().missing(read_version(directory))


def of_bytes(root: Path, name: str, content: bytes) -> str:
    return missing(lay(root, {name: content}))


def snapshot(*versions: VersionFiles) -> ModelSnapshot:
    path = versions[0].path.parent if versions else Path("m")
    return ModelSnapshot("m", path, path / "config.pbtxt", None, {}, dict(enumerate(versions)))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real model of about 400 bytes."""
    return build.mlp(tmp_path_factory.mktemp("small") / "model.onnx", (2, 3, 2)).read_bytes()


def external(directory: Path, offset: int = 0, values: int = 256, location: str = "weights.bin") -> Path:
    """A model whose one tensor lies in another file, which is not written."""
    tensor = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[values])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(values * 4))):
        tensor.external_data.add(key=key, value=value)
    node = helper.make_node("Add", ["X", "W"], ["Y"])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [values]) for name in "XY")
    model = helper.make_model(helper.make_graph([node], "g", [x], [y], [tensor]), ir_version=8)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    return directory


def zipped(comment: bytes = b"", compression: int = zipfile.ZIP_STORED, nested: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02." * 20)
        if nested:
            archive.writestr("m/samples/model.pt", nested)
        archive.writestr("m/data/0", bytes(range(256)) * 4)
        archive.comment = comment
    return file.getvalue()


def safetensors(values: int = 4) -> bytes:
    header = json.dumps({"__metadata__": {}, "w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}})
    return len(header).to_bytes(8, "little") + header.encode() + b"\1" * 4 * values


def test_a_whole_model_is_whole(tmp_path: Path, small: bytes) -> None:
    assert of_bytes(tmp_path, "model.onnx", small) == ""


@pytest.mark.parametrize("name", ["digits/1", "digits/2", "language/1"])
def test_the_sample_models_are_whole(name: str) -> None:
    assert missing(Path("model_repository") / name) == ""


def test_a_model_is_incomplete_however_far_it_was_cut(tmp_path: Path, small: bytes) -> None:
    assert [n for n in range(len(small)) if not of_bytes(tmp_path, "model.onnx", small[:n])] == []


def test_a_cut_model_is_told_with_what_there_is_of_it(tmp_path: Path, small: bytes) -> None:
    assert of_bytes(tmp_path, "model.onnx", b"") == "'model.onnx' is empty"
    assert of_bytes(tmp_path, "model.onnx", b"\0" * 100) == "'model.onnx' begins with zeros"
    graph = small.index(b"\x3a")
    assert of_bytes(tmp_path, "model.onnx", small[:graph]).endswith(
        f"ends after {graph} bytes without a graph and an opset"
    )
    assert "bytes of a field" in of_bytes(tmp_path, "model.onnx", small[:-1])


@pytest.mark.parametrize("values", [3, 2000])
def test_a_model_that_is_filled_in_order_is_incomplete_until_its_last_field(
    tmp_path: Path, small: bytes, values: int
) -> None:
    whole = small if values == 3 else build.mlp(tmp_path / "model.onnx", (8, values, 8)).read_bytes()
    step = max(1, len(whole) // 100)
    last = len(whole.rstrip(b"\0")) - 1
    for written in range(0, last, step):
        assert of_bytes(tmp_path, "model.onnx", whole[:written] + bytes(len(whole) - written)), written
    assert of_bytes(tmp_path, "model.onnx", whole) == ""


def test_a_model_of_another_kind_is_left_to_whoever_loads_it(tmp_path: Path) -> None:
    for content in (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n",
        b"<!DOCTYPE html><html></html>",
        b"<html>",
        b'{"error": "not found"}',
        b"\x80\x02}q\x00.",
        b"PK\x03\x04",
        b"ORTM",
        b"\x1f\x8b\x08\0",
        b"\xff\xfe\xfd",
    ):
        assert of_bytes(tmp_path, "model.onnx", content) == "", content


def test_a_model_with_a_group_is_not_judged(tmp_path: Path, small: bytes) -> None:
    assert of_bytes(tmp_path, "model.onnx", small + b"\xa3\x06\x08\x01\xa4\x06") == ""
    assert of_bytes(tmp_path, "model.onnx", small + b"\xa7\x06") != ""


def test_unknown_fields_say_nothing_against_a_model(tmp_path: Path, small: bytes) -> None:
    unknown = b"\xa0\x06\x01" + b"\xa1\x06" + b"\1" * 8 + b"\xa5\x06" + b"\1" * 4 + b"\xa2\x06\x02ab"
    assert of_bytes(tmp_path, "model.onnx", small + unknown) == ""
    assert of_bytes(tmp_path, "model.onnx", small + unknown[:-1]) != ""
    assert of_bytes(tmp_path, "model.onnx", small + b"\xa0" + b"\xff" * 12) != ""


def test_a_graph_without_anything_in_it_is_whole(tmp_path: Path) -> None:
    assert of_bytes(tmp_path, "model.onnx", b"\x08\x08\x3a\x00\x42\x00") == ""


def test_external_data_has_to_be_there_and_long_enough(tmp_path: Path) -> None:
    external(tmp_path, offset=4096)
    assert missing(tmp_path) == "'model.onnx' needs 'weights.bin', which is not there"
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"w" * 5119)
    assert missing(tmp_path) == "'model.onnx' needs 5120 bytes of 'weights.bin', which has 5119"
    weights.write_bytes(b"w" * 5120)
    assert missing(tmp_path) == ""


def test_external_data_is_looked_for_beside_its_model(tmp_path: Path) -> None:
    external(tmp_path / "model.onnx", location="data/weights.bin")
    lay(tmp_path, {"data/weights.bin": b"w" * 1024})
    assert missing(tmp_path) == "'model.onnx/model.onnx' needs 'model.onnx/data/weights.bin', which is not there"
    lay(tmp_path, {"model.onnx/data/weights.bin": b"w" * 1024})
    assert missing(tmp_path) == ""


def test_external_data_of_a_name_that_is_passed_over_counts(tmp_path: Path) -> None:
    lay(external(tmp_path, location=".weights"), {".weights": b"w" * 1024})
    assert missing(tmp_path) == ""


@pytest.mark.parametrize("location", ["/etc/passwd", "../weights.bin", "a/../../b", "a\0b"])
def test_external_data_that_leads_out_is_left_to_whoever_loads_it(tmp_path: Path, location: str) -> None:
    assert missing(external(tmp_path, location=location)) == ""


def test_external_data_with_odd_numbers_needs_to_be_there_only(tmp_path: Path) -> None:
    model = onnx.load(str(external(tmp_path) / "model.onnx"), load_external_data=False)
    entries = model.graph.initializer[0].external_data
    for entry in entries:
        entry.value = {"location": "weights.bin", "offset": "٣", "length": "9" * 5000}[entry.key]
    entries[0].ClearField("key")
    entries.add(key="location", value="weights.bin")
    lay(tmp_path, {"model.onnx": model.SerializeToString(), "weights.bin": ""})
    assert missing(tmp_path) == ""


def test_data_in_the_model_needs_no_other_file(tmp_path: Path) -> None:
    model = onnx.load(str(external(tmp_path) / "model.onnx"), load_external_data=False)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.DEFAULT
    assert of_bytes(tmp_path, "model.onnx", model.SerializeToString()) == ""


NESTED = zipped(nested=zipped())


@pytest.mark.parametrize("name", ["model.pt", "model.pt2", "model.pth", "archive.zip", "model.onnx/data.npz"])
@pytest.mark.parametrize(
    "content", [zipped(), zipped(b"a comment"), zipped(compression=zipfile.ZIP_DEFLATED), NESTED],
    ids=["stored", "comment", "deflated", "nested"],
)  # fmt: skip
def test_a_zip_is_incomplete_however_far_it_was_cut(tmp_path: Path, name: str, content: bytes) -> None:
    assert of_bytes(tmp_path, name, content) == ""
    if name == "model.pt":
        assert [n for n in range(len(content)) if not of_bytes(tmp_path, name, content[:n])] == []


def test_a_zip_that_is_filled_in_order_is_incomplete_until_its_end(tmp_path: Path) -> None:
    whole = zipped()
    for written in range(len(whole.rstrip(b"\0"))):
        assert of_bytes(tmp_path, "model.pt", whole[:written] + bytes(len(whole) - written)), written


def test_a_zip_whose_entries_were_not_written_yet_is_incomplete(tmp_path: Path) -> None:
    whole = zipped()
    second = whole.index(b"PK\x03\x04", 4)
    for damaged in (
        whole[:second] + bytes(4) + whole[second + 4 :],
        whole[:30] + whole[second:],
        whole.replace(b"PK\x01\x02", b"\0\0\0\0"),
    ):
        assert of_bytes(tmp_path, "model.pt", damaged) != ""


def test_a_large_zip_is_judged_by_its_large_numbers(tmp_path: Path) -> None:
    small_limit = zipfile.ZIP64_LIMIT
    try:
        zipfile.ZIP64_LIMIT = 100  # type: ignore[misc]
        whole = zipped()
    finally:
        zipfile.ZIP64_LIMIT = small_limit  # type: ignore[misc]
    assert b"PK\x06\x06" in whole
    assert of_bytes(tmp_path, "model.pt", whole) == ""
    assert [n for n in range(len(whole)) if not of_bytes(tmp_path, "model.pt", whole[:n])] == []


def test_large_numbers_are_found_among_what_else_is_said_of_an_entry() -> None:
    other, large = struct.pack("<2H1s", 2, 1, b"x"), struct.pack("<2H2Q", 1, 16, 5_000_000_000, 7)
    header = bytearray(46)
    struct.pack_into("<2L", header, 20, 0xFFFFFFFF, 1)
    struct.pack_into("<L", header, 42, 0xFFFFFFFF)
    assert zip_structure._span(bytes(header), other + large) == (5_000_000_000, 7)
    assert zip_structure._span(bytes(header), other) == (0xFFFFFFFF, 0xFFFFFFFF)


def test_a_comment_that_looks_like_the_end_of_a_zip_is_no_end(tmp_path: Path) -> None:
    assert of_bytes(tmp_path, "model.pt", zipped(b"PK\x05\x06" + b"\xff" * 40)) == ""


def test_a_file_that_only_seems_to_end_like_a_zip_is_incomplete(tmp_path: Path) -> None:
    begin, end = zipped()[:40], b"PK\x05\x06" + b"\xff" * 18
    assert of_bytes(tmp_path, "model.pt", begin + 20 * end) == "'model.pt' ends without its directory of entries"
    end = b"PK\x05\x06" + b"\0" * 18
    assert of_bytes(tmp_path, "model.pt", b"PK\x03\x04" + end) == "'model.pt' has a directory without entries"
    assert of_bytes(tmp_path, "model.pt", begin + 20 * end) == "'model.pt' has a directory without entries"


def test_what_pytorch_writes_is_whole(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    lay(tmp_path, {"1": None, "2": None})
    torch.save({"w": torch.zeros(1000)}, tmp_path / "1" / "model.pt")
    torch.save({"w": torch.zeros(3)}, tmp_path / "2" / "model.pt", _use_new_zipfile_serialization=False)
    assert missing(tmp_path / "1") == ""
    assert missing(tmp_path / "2") == ""


def test_a_safetensors_file_is_incomplete_however_far_it_was_cut(tmp_path: Path) -> None:
    whole = safetensors()
    name = "weights.safetensors"
    assert of_bytes(tmp_path, name, whole) == ""
    assert [n for n in range(len(whole)) if n and not of_bytes(tmp_path, name, whole[:n])] == []
    assert of_bytes(tmp_path, name, whole[:-1]) == f"'{name}' has {len(whole) - 1} of {len(whole)} bytes"
    header = len(whole) - 16
    assert [n for n in range(header) if not of_bytes(tmp_path, name, whole[:n] + bytes(len(whole) - n))] == []


@pytest.mark.parametrize("header", [b"{", b"[1]", b'{"w": 1}', b'{"w": {"data_offsets": [0, "a"]}}', b"[" * 100_000])
def test_a_safetensors_file_with_another_header_is_left_to_whoever_reads_it(tmp_path: Path, header: bytes) -> None:
    assert of_bytes(tmp_path, "w.safetensors", len(header).to_bytes(8, "little") + header) == ""


def test_a_safetensors_file_with_an_endless_header_is_not_judged(tmp_path: Path) -> None:
    assert of_bytes(tmp_path, "w.safetensors", b"\xff" * 100) == ""


def test_what_has_no_format_that_can_be_checked_is_whole(tmp_path: Path) -> None:
    assert missing(lay(tmp_path, {"model.plan": "ptrt", "labels.txt": "", "weights.bin": b"\0" * 10})) == ""


@pytest.mark.parametrize("name", ["model.plan", "model.onnx", "model.pt2"])
def test_an_empty_model_file_of_any_format_is_incomplete(tmp_path: Path, name: str) -> None:
    assert of_bytes(tmp_path, name, b"") == f"'{name}' is empty"


def test_a_version_with_a_problem_or_without_files_is_not_judged(tmp_path: Path) -> None:
    version = read_version(lay(tmp_path, {"model.onnx": ""}))
    assert Completeness().missing(VersionFiles(tmp_path, version.files, Problem("cannot be read"))) == ""
    assert Completeness().missing(VersionFiles(tmp_path, {})) == ""


def test_a_file_that_cannot_be_read_is_left_to_whoever_loads_it(tmp_path: Path, small: bytes) -> None:
    version = read_version(lay(tmp_path, {"model.onnx": small[:-1]}))
    (tmp_path / "model.onnx").unlink()
    assert Completeness().missing(version) == ""


def test_a_file_is_looked_into_again_only_when_it_changed(tmp_path: Path, small: bytes) -> None:
    completeness = Completeness()
    file = lay(tmp_path, {"model.onnx": small[:-1]}) / "model.onnx"
    cut = read_version(tmp_path)
    assert completeness.missing(cut) != ""
    file.write_bytes(small)
    whole = read_version(tmp_path)
    assert completeness.missing(whole) == ""
    file.unlink()
    assert completeness.missing(whole) == ""
    assert completeness.missing(cut) == "", "what is not remembered any more is read"


def test_a_file_that_changes_while_it_is_looked_at_is_incomplete_and_not_remembered(
    tmp_path: Path, small: bytes
) -> None:
    completeness = Completeness()
    version = read_version(lay(tmp_path, {"model.onnx": small}))
    (tmp_path / "model.onnx").write_bytes(small[:-1])
    assert completeness.missing(version) == "'model.onnx' changed while it was looked at"
    (tmp_path / "model.onnx").write_bytes(small)
    assert completeness.missing(version) == ""


def test_files_of_models_that_are_gone_are_forgotten(tmp_path: Path, small: bytes) -> None:
    completeness = Completeness()
    versions = [read_version(lay(tmp_path / str(n), {"model.onnx": small[: n - 3]})) for n in (1, 2)]
    assert all(completeness.missing(version) for version in versions)
    completeness.retain([snapshot(versions[0])])
    for version in versions:
        (version.path / "model.onnx").unlink()
    assert [bool(completeness.missing(version)) for version in versions] == [True, False]


def test_a_large_model_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = os.pread

    def pread(descriptor: int, count: int, at: int) -> bytes:
        read.append(count)
        return original(descriptor, count, at)

    build.mlp(tmp_path / "model.onnx", (2048, 2048, 2048, 2048))
    version = read_version(tmp_path)
    monkeypatch.setattr(os, "pread", pread)
    assert version.files["model.onnx"].size > 30_000_000
    assert Completeness().missing(version) == ""
    assert sum(read) < 100 * PAGE


CHECKS: list[Callable[[Window], Structure]] = [onnx_structure.check, zip_structure.check, safetensors_structure.check]


class Bytes(Window):
    """A file that is not on a disk."""

    def __init__(self, content: bytes) -> None:
        super().__init__(-1, len(content))
        self._content = content

    def read(self, at: int, count: int) -> bytes:
        assert at >= 0
        assert count >= 0
        return self._content[at : at + count]


WHOLE_FILES: dict[Callable[[Window], Structure], bytes] = {
    onnx_structure.check: helper.make_model(
        helper.make_graph(
            [helper.make_node("Add", ["X", "W"], ["Y"])],
            "g",
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, [2])],
            [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [2])],
            [onnx.numpy_helper.from_array(np.ones(2, np.float32), "W")],
        )
    ).SerializeToString(),
    zip_structure.check: NESTED,
    safetensors_structure.check: safetensors(),
}


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_content_is_too_odd_to_be_judged(check: Callable[[Window], Structure], data: st.DataObject) -> None:
    content = bytearray(WHOLE_FILES[check])
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=9))
        content = content or bytearray(b"\1")
    found = check(Bytes(bytes(content)))
    assert isinstance(found.fault, str)
    assert all(need >= 0 for need in found.needs.values())


@pytest.mark.parametrize("check", CHECKS)
@given(content=st.binary(min_size=1, max_size=200))
def test_no_bytes_are_too_odd_to_be_judged(check: Callable[[Window], Structure], content: bytes) -> None:
    assert isinstance(check(Bytes(content)).fault, str)


def test_a_model_of_a_million_fields_is_judged_by_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FIELDS", 1000)
    model = Bytes(b"\x08\x01" * 1_000_000 + b"\0")
    tracemalloc.start()
    try:
        assert onnx_structure.check(model) == Structure()
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_zip_with_more_entries_than_are_looked_at_is_judged_by_the_first_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = zipped()
    broken = bytearray(whole)
    broken[whole.rindex(b"PK\x01\x02")] = 0
    assert zip_structure.check(Bytes(bytes(broken))).fault != ""
    monkeypatch.setattr(zip_structure, "MAX_ENTRIES", 1)
    assert zip_structure.check(Bytes(bytes(broken))).fault == ""


def test_a_window_reads_what_is_there_and_no_more(tmp_path: Path) -> None:
    content = np.arange(1, 3 * PAGE + 8).astype(np.uint8).tobytes()
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        window = Window(file.fileno(), len(content))
        for at, count in (
            (0, 4),
            (PAGE - 2, 4),
            (10, 5),
            (2 * PAGE, 2 * PAGE),
            (len(content) - 1, 10),
            (len(content), 1),
        ):
            assert window.read(at, count) == content[at : at + count]
