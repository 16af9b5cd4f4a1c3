"""protos/generate.py: what it writes runs, and what is out of date is told."""

from pathlib import Path

import pytest

from protos import generate
from protos.generate import Target

HOME = "tiny.protocol"
PROTO = 'syntax = "proto3"; package tiny; message Ask {} message Answer {}'


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    directory = tmp_path / "protos"
    directory.mkdir()
    (directory / "tiny.proto").write_text(PROTO)
    return directory


@pytest.fixture
def target(protos: Path, tmp_path: Path) -> Target:
    target = Target(tmp_path / "generated", HOME)
    generate.write(protos, target)
    return target


def told(protos: Path, target: Target) -> list[str]:
    return [file.name for file in generate.differences(protos, target)]


def test_a_fresh_compilation_has_no_differences(protos: Path, target: Target) -> None:
    assert told(protos, target) == []
    assert generate.sources(target.directory) == {"__init__.py", "tiny_pb2.py", "tiny_pb2.pyi"}


def test_an_edited_a_missing_and_a_stale_module_are_told(protos: Path, target: Target) -> None:
    (target.directory / "tiny_pb2.py").write_text("edited")
    (target.directory / "tiny_pb2.pyi").unlink()
    (target.directory / "gone_pb2.py").touch()
    assert told(protos, target) == ["gone_pb2.py", "tiny_pb2.py", "tiny_pb2.pyi"]


def test_writing_removes_the_modules_of_a_proto_that_is_gone(protos: Path, target: Target) -> None:
    (protos / "tiny.proto").rename(protos / "small.proto")
    generate.write(protos, target)
    assert generate.sources(target.directory) == {"__init__.py", "small_pb2.py", "small_pb2.pyi"}


def test_a_changed_proto_is_told(protos: Path, target: Target) -> None:
    (protos / "tiny.proto").write_text(PROTO + " message Third {}")
    assert told(protos, target) == ["tiny_pb2.py", "tiny_pb2.pyi"]


def test_a_target_may_take_some_of_the_protos_only(protos: Path, target: Target) -> None:
    (protos / "other.proto").write_text('syntax = "proto3"; package other; message Thing {}')
    assert told(protos, target) == ["other_pb2.py", "other_pb2.pyi"]
    assert told(protos, target._replace(only=frozenset({"tiny.proto"}))) == []


def test_a_proto_that_a_target_wants_and_that_is_not_there_is_an_error(protos: Path, target: Target) -> None:
    with pytest.raises(generate.GenerationError, match=r"expected \['gone.proto'\] in .*, got \['tiny.proto'\]"):
        generate.differences(protos, target._replace(only=frozenset({"tiny.proto", "gone.proto"})))


def test_a_proto_that_does_not_compile_is_an_error(protos: Path, target: Target, tmp_path: Path) -> None:
    (protos / "tiny.proto").write_text("message")
    with pytest.raises(generate.GenerationError, match="protoc exited with 1"):
        generate.compile_protos(protos, target, tmp_path)


def test_output_of_protoc_in_another_form_is_an_error(target: Target) -> None:
    with pytest.raises(generate.GenerationError, match=r"tiny_pb2\.py: expected .* once .* got it 0 times"):
        generate.with_own_pool(Path("tiny_pb2.py"), "import google.protobuf", target)


def test_modules_are_described_in_the_pool_of_their_target(target: Target) -> None:
    assert f"from {HOME}.pool import POOL as _POOL" in (target.directory / "tiny_pb2.py").read_text()


def test_modules_import_each_other_by_their_full_names(target: Target) -> None:
    source = "import typing as t\nimport model_config_pb2 as model__config__pb2\n"
    assert generate.with_absolute_imports(source, target) == (
        f"import typing as t\nfrom {HOME}.generated import model_config_pb2 as model__config__pb2\n"
    )


def test_the_server_the_client_and_the_interop_service_have_a_target_each() -> None:
    assert [(target.home, target.protos.name) for target in generate.TARGETS] == [
        ("naiad.protocol", "protos"),
        ("naiad_client.protocol", "protos"),
        ("tests.interop.protocol", "protocol"),
    ]
