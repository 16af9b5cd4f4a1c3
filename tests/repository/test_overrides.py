"""What clients give with a load: names that lead elsewhere, formats that hold code, and the life of the files."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import onnx
import pytest
from onnx import external_data_helper

from naiad.core.backend import Backend
from naiad.core.errors import BackendError, InvalidArgument, Unavailable
from naiad.core.version import Version
from naiad.repository.loading import Loaded
from naiad.repository.overrides import (
    DATA,
    DEEPEST,
    MOST_FILES,
    OverrideDirectory,
    check_files,
    check_name,
    check_weights,
    kept_in,
)
from naiad.repository.wanted import Candidate, Load, Wish
from tests.models.build import mlp

HOSTILE = (
    "../etc/passwd", "..", ".", "", "/", "/etc/passwd", "1", "1/", "1//model.onnx", "1/../../model.onnx",
    "1/..", "1/./model.onnx", "1/a/../model.onnx", "1/ ..", "1/.. /model.onnx", "1/ /model.onnx", "1/model.onnx ",
    "..\\model.onnx", "1/..\\..\\model.onnx", "1\\model.onnx", "C:\\model.onnx", "1/C:model.onnx",
    "1/model\0.onnx", "1/model.onnx\0.txt", "1/mo\ndel.onnx", "1/mo\rdel.onnx", "1/mo\x1bdel.onnx", "1/mo\x7fdel.onnx",
    "1/mo\u202edel.onnx", "1/mo\u2028del.onnx", "01/model.onnx", "+1/model.onnx", "-1/model.onnx", "1.0/model.onnx",
    "\u0661/model.onnx", "1 /model.onnx", "9" * 30 + "/model.onnx", "x/model.onnx", "~/model.onnx",
    "1/" + "x" * 256 + ".onnx", "1/" + "\u00e9" * 128 + ".onnx", "1/" + "d/" * DEEPEST + "model.onnx",
    "1/.hidden.onnx", "1/.ready", "1/model.onnx.tmp", "1/__pycache__/model.onnx", "model.onnx", "config.pbtxt",
    "../labels.txt", " labels.txt", ".labels.txt", "a\nb.txt",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("code", [False, True])
def test_no_name_leads_out_of_the_directory_of_its_version(name: str, code: bool) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid file override ") as caught:
        check_files({"1/model.onnx": b"", name: b""}, code=code)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_sound_names_are_taken() -> None:
    deep = "d/" * (DEEPEST - 1)
    check_files(dict.fromkeys(["0/model.onnx", f"17/{deep}model.onnx", "1/мир.txt", "labels.txt"], b""), code=False)


def test_a_file_is_no_directory_of_another() -> None:
    with pytest.raises(InvalidArgument, match=r"'1/model\.onnx' is a file, and no directory"):
        check_files({"1/model.onnx": b"", "1/model.onnx/weights.bin": b""}, code=False)


def test_more_files_than_any_model_has_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=f"got {MOST_FILES + 1} file overrides, expected {MOST_FILES} at most"):
        check_files({f"1/{i}.bin": b"" for i in range(MOST_FILES + 1)}, code=False)


@pytest.mark.parametrize("ending", sorted(DATA))
def test_formats_that_hold_data_are_taken(ending: str) -> None:
    check_files({f"1/model{ending}": b"", f"1/model{ending.upper()}": b""}, code=False)


@pytest.mark.parametrize(
    "name",
    ["model.pt", "model.PT", "model.pt2", "model.pth", "model.py", "model.plan", "model.engine", "model.trt", "x.so",
     "model.onnx.so", "model", "model.pkl", "model.unheard-of", "model."],
)  # fmt: skip
def test_formats_that_may_hold_code_are_taken_only_where_that_is_allowed(name: str) -> None:
    with pytest.raises(InvalidArgument, match="may hold code, which is taken with --allow-code-upload only"):
        check_files({f"1/{name}": b""}, code=False)
    check_files({f"1/{name}": b""}, code=True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "Model name cannot be empty. Please enter a valid name to deploy."),
        ("../etc", "invalid model name '../etc', model name must not contain path traversal characters"),
        ("a\\b", "model name must not contain path traversal characters"),
        (" ..", "model name must not contain path traversal characters"),
        ("a\0", r"invalid model name 'a\x00', expected printable text of 255 bytes at most"),
        ("a\nb", "expected printable text"),
        ("x" * 256, "expected printable text of 255 bytes at most"),
        ("é" * 128, "expected printable text of 255 bytes at most"),
    ],
)
def test_names_that_no_model_has_are_refused(name: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_name(name)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_names_of_models_are_printable_text() -> None:
    for name in ("m", "m.onnx", "модель", "a b", "x" * 255):
        check_name(name)


def test_files_are_written_to_a_directory_that_no_one_else_can_look_into() -> None:
    directory = OverrideDirectory({"1/model.onnx": b"m", "1/a/b/weights.bin": b"w", "labels.txt": b"l"})
    root = directory.path
    try:
        assert root.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
        found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        assert found == {"1/model.onnx": b"m", "1/a/b/weights.bin": b"w", "labels.txt": b"l"}
    finally:
        directory.discard()
    assert not root.exists()


def test_what_cannot_be_stored_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(Unavailable, match="the given files cannot be stored: "):
        OverrideDirectory({"1/a": b"", "1/" + "x" * 300: b""})
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(Unavailable, match="the given files cannot be stored: No such file or directory"):
        OverrideDirectory({})


class Part:
    """A version or a backend of which only the end counts."""

    def close(self) -> None:
        pass


def loaded(_: object) -> Loaded:
    return Loaded(cast(Version, Part()), cast(Backend, Part()))


def wish(directory: OverrideDirectory, load: Load | str) -> Wish:
    return kept_in(directory, Candidate("m", {1: Wish("a", load)})).wanted[1]


def run(wish: Wish) -> Loaded:
    assert not isinstance(wish.load, str)
    return wish.load(lambda _: None)


def test_files_stay_while_a_version_that_was_loaded_from_them_is_used() -> None:
    directory = OverrideDirectory({"1/model.onnx": b"m"})
    one, other = run(wish(directory, loaded)), run(wish(directory, loaded))
    directory.discard()
    one.close()
    assert directory.path.exists()
    other.close()
    assert not directory.path.exists()


def test_files_stay_for_another_try_until_they_are_discarded() -> None:
    directory = OverrideDirectory({"1/model.onnx": b"m"})

    def fails(_: object) -> Loaded:
        raise BackendError("no")

    with pytest.raises(InvalidArgument, match="no"):
        run(wish(directory, fails))
    run(wish(directory, loaded)).close()
    assert directory.path.exists()
    directory.discard()
    assert not directory.path.exists()


@pytest.mark.parametrize("error", [MemoryError("none left"), SystemExit(3)])
def test_a_load_that_ends_in_any_way_leaves_the_files(error: BaseException) -> None:
    directory = OverrideDirectory({"1/model.onnx": b"m"})

    def fails(_: object) -> Loaded:
        directory.discard()
        assert directory.path.exists()
        raise error

    with pytest.raises(type(error)):
        run(wish(directory, fails))
    assert not directory.path.exists()


def test_the_same_files_given_twice_are_not_the_same_content() -> None:
    directories = [OverrideDirectory({"1/model.onnx": b"m"}) for _ in range(2)]
    assert len({wish(directory, load).identity for directory in directories for load in (loaded, "no")}) == 2
    for directory in directories:
        directory.discard()


def test_nobody_is_told_where_the_files_are() -> None:
    directory = OverrideDirectory({"1/model.onnx": b"m"})

    def lacks(_: object) -> Loaded:
        raise BackendError(f"cannot read {directory.path}/1/model.onnx in '{directory.path}'")

    def misses(_: object) -> Loaded:
        directory.path.joinpath("2").stat()
        raise AssertionError("there is a version 2")

    told = "cannot read 1/model.onnx in 'the given files'"
    for load, text in ((lacks, told), (misses, "[Errno 2] No such file or directory: '2'")):
        with pytest.raises(InvalidArgument) as caught:
            run(wish(directory, load))
        assert str(caught.value) == text
    assert wish(directory, f"cannot read {directory.path}/1/model.onnx in '{directory.path}'").load == told
    kept = kept_in(directory, Candidate("m", {}, f"'{directory.path}/1' is empty"))
    assert kept.problem == "'1' is empty"
    directory.discard()


def with_external_data(path: Path, location: str) -> bytes:
    model = onnx.load(mlp(path, (8, 8)))
    for tensor in model.graph.initializer:
        external_data_helper.set_external_data(tensor, location)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
    return model.SerializeToString()


@pytest.fixture
def needing(tmp_path: Path) -> Callable[[str], bytes]:
    return lambda location: with_external_data(tmp_path / "model.onnx", location)


@pytest.mark.parametrize("location", ["weights.bin", "../../secret", "/etc/passwd", "../2/weights.bin", "a/../../x"])
@pytest.mark.parametrize("name", ["1/model.onnx", "1/model.ONNX", "1/model.bin"])
def test_weights_that_were_not_given_are_not_read(needing: Callable[[str], bytes], location: str, name: str) -> None:
    directory = OverrideDirectory({name: needing(location), "2/weights.bin": b"w", "1/empty.onnx": b""})
    with pytest.raises(InvalidArgument) as caught:
        check_weights(directory)
    assert str(caught.value) == (
        f"invalid file override 'file:{name}': it needs '{location}', which is not among the given files"
    )
    directory.discard()


def test_weights_that_were_given_are_found_beside_the_model(needing: Callable[[str], bytes]) -> None:
    directory = OverrideDirectory({"1/model.onnx": needing("weights.bin"), "1/weights.bin": b"w" * 1024})
    check_weights(directory)
    directory.discard()


WRITES = """
import sys, tempfile
from naiad.repository.overrides import OverrideDirectory, check_files

files = {"1/model.onnx": b"m", "1/a/b/weights.bin": b"w", "labels.txt": b"l"}
touched = []

def hear(event, arguments):
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "os.rmdir"):
        touched.append(arguments[0])
    assert not event.startswith(("subprocess.", "os.system", "os.exec", "os.posix_spawn"))

check_files(files, code=False)
tempfile.gettempdir()
sys.addaudithook(hear)
directory = OverrideDirectory(files)
inside = [path for path in touched if str(path).startswith(str(directory.path))]
print(len(inside) >= len(files), [path for path in touched if path not in inside])
directory.discard()
"""


def test_nothing_is_opened_outside_of_the_directory_and_no_process_started() -> None:
    done = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"
