"""Where the native part cannot be built the package is one of Python alone, says so in its tag and on stderr, works."""

import platform
import sys
from pathlib import Path

import pytest

from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server
from tests.packaging.builds import Built, build, copied, with_programs

NOT_BUILT = "naiad._native is not built"
PURE = "py3-none-any"
BROKEN = {"rustc": "echo rustc 1.95.0", "cargo": "echo 'cargo has no network' >&2; exit 101"}


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A wheel made where there is no cargo."""
    directory = tmp_path_factory.mktemp("without-cargo")
    return build(copied(directory), "wheel", with_programs(directory / "bin"))


def native_files(built: Built) -> list[str]:
    return [name for name in built.names if name.endswith(".so")]


def test_without_cargo_the_wheel_is_of_python_alone_and_its_tag_says_so(pure: Built) -> None:
    assert (pure.tag, native_files(pure)) == (PURE, [])
    assert "naiad/_native.pyi" in pure.names


def test_without_cargo_the_build_says_what_is_missing_and_where_it_is_to_be_had(pure: Built) -> None:
    assert NOT_BUILT in pure.log
    assert "no cargo in PATH; https://rustup.rs has Rust" in pure.log


def test_a_wheel_of_python_alone_serves_by_grpcio_and_says_so(pure: Built, tmp_path: Path) -> None:
    models = identity(tmp_path / "models", "echo")
    with Server(models, directory=pure.unpacked(tmp_path / "unpacked")) as server:
        response = server.stub.ModelInfer(ask("echo", 2.5), timeout=PATIENCE)
        assert len(response.raw_output_contents) == 1
        assert "gRPC is served by grpcio" in server.log


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_cargo_that_fails_is_heard_and_the_package_is_of_python_alone(tmp_path: Path, kind: str) -> None:
    built = build(copied(tmp_path), kind, with_programs(tmp_path / "bin", **BROKEN))
    assert (built.code, built.tag, native_files(built)) == (0, PURE, [])
    assert "cargo has no network" in built.log
    assert NOT_BUILT in built.log


def test_a_rust_that_is_too_old_is_named_with_the_one_that_is_needed(tmp_path: Path) -> None:
    built = build(copied(tmp_path), "wheel", with_programs(tmp_path / "bin", **BROKEN | {"rustc": "echo rustc 1.63.0"}))
    assert built.tag == PURE
    assert "Rust 1.63.0 does not match extension requirement >=1.85" in built.log


def test_what_an_earlier_build_left_is_neither_packed_nor_left_to_be_imported(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    kind = f"linux-{platform.machine()}-{sys.implementation.cache_tag}"
    packed, imported = tree / f"build/lib.{kind}/naiad/_native.abi3.so", tree / "server/naiad/_native.abi3.so"
    for stale in (packed, imported):
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.write_bytes(b"\x7fELF")
    environment = with_programs(tmp_path / "bin", **BROKEN)
    built = build(tree, "wheel", environment)
    assert (built.tag, native_files(built)) == (PURE, [])
    assert not packed.exists()
    build(tree, "editable", environment)
    assert not imported.exists()


def test_required_makes_a_failure_an_error(tmp_path: Path) -> None:
    environment = with_programs(tmp_path / "bin", **BROKEN) | {"BUILD_NAIAD_NATIVE": "required"}
    built = build(copied(tmp_path), "wheel", environment)
    assert (built.code, built.file) == (1, None)
    assert "cargo has no network" in built.log


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_never_leaves_the_native_part_out_without_asking_for_cargo(tmp_path: Path, kind: str) -> None:
    environment = with_programs(tmp_path / "bin", **BROKEN) | {"BUILD_NAIAD_NATIVE": "never"}
    built = build(copied(tmp_path), kind, environment)
    assert (built.code, built.tag) == (0, PURE)
    assert "cargo" not in built.log


def test_any_other_wish_is_refused_with_what_there_is_to_choose_from(tmp_path: Path) -> None:
    built = build(copied(tmp_path), "wheel", with_programs(tmp_path / "bin") | {"BUILD_NAIAD_NATIVE": "no"})
    assert built.code != 0
    assert "BUILD_NAIAD_NATIVE is 'no', expected one of auto, required, never" in built.log
