"""An sdist has all that the native part is made of, nothing that was made, and builds."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.packaging.builds import PATIENCE, ROOT, Built, build, copied, with_cargo, with_programs

pytestmark = pytest.mark.timeout(PATIENCE)

CRATE = ROOT / "server/native"


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of a tree in which things were built, made where there is no cargo."""
    directory = tmp_path_factory.mktemp("sdist")
    tree = copied(directory)
    for name in ("server/native/target/release/libnaiad_native.so", "server/naiad/_native.abi3.so"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"\x7fELF")
    return build(tree, "sdist", with_programs(directory / "bin")).wheel


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory, filter="data")
    (tree,) = directory.iterdir()
    return tree


@pytest.fixture(scope="module")
def built(unpacked: Path) -> Built:
    """The wheel that is built from the sdist, with the native part."""
    return build(unpacked, "wheel", with_cargo())


def test_the_sdist_has_every_file_of_the_crate(unpacked: Path) -> None:
    files = {path.relative_to(CRATE) for path in CRATE.rglob("*") if path.is_file() and "target" not in path.parts}
    assert {Path("Cargo.toml"), Path("Cargo.lock"), Path("src/lib.rs")} <= files
    assert [path for path in files if not (unpacked / "server/native" / path).is_file()] == []


def test_the_sdist_has_nothing_that_was_built_and_no_tests(unpacked: Path) -> None:
    assert [path for path in unpacked.rglob("*") if path.suffix == ".so" or path.name in ("target", "tests")] == []


def test_a_wheel_from_the_sdist_has_the_native_part_and_a_tag_for_this_platform(built: Built) -> None:
    assert built.code == 0, built.log
    assert [name for name in built.names if name.endswith(".so")] == ["naiad/_native.abi3.so"]
    assert built.tag.startswith("cp311-abi3-linux_")


def test_the_native_part_of_the_wheel_is_imported(built: Built, tmp_path: Path) -> None:
    code = "import naiad._native; print(naiad._native.__file__)"
    place = built.unpacked(tmp_path / "unpacked")
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(place / "naiad/_native.abi3.so"), "")
