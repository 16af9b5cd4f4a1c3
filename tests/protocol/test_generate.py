"""protos/generate.py: what it writes runs, and what is out of date is told."""

from pathlib import Path

import pytest

from protos import generate

PROTO = 'syntax = "proto3"; package tiny; message Ask {} message Answer {}'


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    directory = tmp_path / "protos"
    directory.mkdir()
    (directory / "tiny.proto").write_text(PROTO)
    return directory


@pytest.fixture
def generated(protos: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "generated"
    generate.write(protos, directory)
    return directory


def test_a_fresh_compilation_has_no_differences(protos: Path, generated: Path) -> None:
    assert generate.differences(protos, generated) == []
    assert generate.sources(generated) == {"__init__.py", "tiny_pb2.py", "tiny_pb2.pyi"}


def test_an_edited_a_missing_and_a_stale_module_are_told(protos: Path, generated: Path) -> None:
    (generated / "tiny_pb2.py").write_text("edited")
    (generated / "tiny_pb2.pyi").unlink()
    (generated / "gone_pb2.py").touch()
    assert generate.differences(protos, generated) == ["gone_pb2.py", "tiny_pb2.py", "tiny_pb2.pyi"]


def test_writing_removes_the_modules_of_a_proto_that_is_gone(protos: Path, generated: Path) -> None:
    (protos / "tiny.proto").rename(protos / "small.proto")
    generate.write(protos, generated)
    assert generate.sources(generated) == {"__init__.py", "small_pb2.py", "small_pb2.pyi"}


def test_a_changed_proto_is_told(protos: Path, generated: Path) -> None:
    (protos / "tiny.proto").write_text(PROTO + " message Third {}")
    assert generate.differences(protos, generated) == ["tiny_pb2.py", "tiny_pb2.pyi"]


def test_a_proto_that_does_not_compile_is_an_error(protos: Path, tmp_path: Path) -> None:
    (protos / "tiny.proto").write_text("message")
    with pytest.raises(generate.GenerationError, match="protoc exited with 1"):
        generate.compile_protos(protos, tmp_path)


def test_output_of_protoc_in_another_form_is_an_error() -> None:
    with pytest.raises(generate.GenerationError, match=r"tiny_pb2\.py: expected .* once .* got it 0 times"):
        generate.with_own_pool(Path("tiny_pb2.py"), "import google.protobuf")


def test_modules_import_each_other_by_their_full_names() -> None:
    source = "import typing as t\nimport model_config_pb2 as model__config__pb2\n"
    assert generate.with_absolute_imports(source) == (
        "import typing as t\nfrom naiad.protocol.generated import model_config_pb2 as model__config__pb2\n"
    )
