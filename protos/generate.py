"""Compiles .proto files into the packages `generated` of TARGETS: the server's, the Python client's, and one of tests.

`python protos/generate.py` writes the modules; with `--check` it compares those that are there with a fresh
compilation and exits 1 where they differ. Both want grpcio-tools and mypy-protobuf in the versions of
requirements/dev.lock, which decide every byte of the output.

protoc's modules are changed in three ways, each of which must apply exactly once where it is expected:
- they live in a descriptor pool of their target, since the default one refuses a second `inference` package;
- they import each other by their full names;
- their classes know the full name of their module, so that messages can be pickled.
"""

import argparse
import filecmp
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PROTOS = Path(__file__).resolve().parent
ROOT = PROTOS.parent

INIT = '''"""The modules that `make proto` compiles from protos/: never edited by hand."""
'''
POOL_IMPORT = "from google.protobuf import descriptor_pool as _descriptor_pool\n"
SIBLING_IMPORT = re.compile(r"^import (\w+_pb2) as (\w+)$", re.MULTILINE)


class Target(NamedTuple):
    """Where compiled modules go: `directory` is the package `generated` of the package `home`, which has `pool.POOL`.

    `only` names the .proto files that are compiled, with all that they import; empty for every one of `protos`.
    """

    directory: Path
    home: str
    only: frozenset[str] = frozenset()
    protos: Path = PROTOS

    @property
    def package(self) -> str:
        return f"{self.home}.generated"

    def names(self, protos: Path) -> list[str]:
        found = {file.name for file in protos.glob("*.proto")}
        if missing := self.only - found:
            raise GenerationError(f"{self.package}: expected {sorted(missing)} in {protos}, got {sorted(found)}")
        return sorted(self.only or found)


TARGETS = (
    Target(ROOT / "server/naiad/protocol/generated", "naiad.protocol"),
    Target(
        ROOT / "clients/python/src/naiad_client/protocol/generated",
        "naiad_client.protocol",
        frozenset({"grpc_service.proto", "health.proto", "model_config.proto"}),
    ),
    Target(ROOT / "tests/interop/protocol/generated", "tests.interop.protocol", protos=ROOT / "tests/interop/protocol"),
)


class GenerationError(Exception):
    """protoc failed, or wrote something else than the rewriting here expects."""


def compile_protos(protos: Path, target: Target, destination: Path) -> None:
    """Compile the directory `protos` into the target's complete package, in the empty directory `destination`."""
    names = target.names(protos)
    run_protoc(protos, names, destination)
    for stem in (name.removesuffix(".proto") for name in names):
        module, stub = destination / f"{stem}_pb2.py", destination / f"{stem}_pb2.pyi"
        module.write_text(with_own_pool(module, with_absolute_imports(module.read_text(), target), target))
        stub.write_text(with_absolute_imports(stub.read_text(), target))
    (destination / "__init__.py").write_text(INIT)


def run_protoc(protos: Path, names: list[str], destination: Path) -> None:
    """Run protoc with the mypy plugin of this interpreter's environment."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={protos}"]
    command += [f"--python_out={destination}", f"--mypy_out=quiet:{destination}", *names]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    code = subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode
    if code != 0:
        raise GenerationError(f"protoc exited with {code}; its command was: {' '.join(command)}")


def with_absolute_imports(source: str, target: Target) -> str:
    """Import sibling modules from the target's package instead of from the top level."""
    return SIBLING_IMPORT.sub(rf"from {target.package} import \1 as \2", source)


def with_own_pool(file: Path, source: str, target: Target) -> str:
    """Describe the module in the target's pool, under its full name."""
    source = replaced_once(file, source, POOL_IMPORT, f"from {target.home}.pool import POOL as _POOL\n")
    source = replaced_once(file, source, "_descriptor_pool.Default()", "_POOL")
    return replaced_once(file, source, f"'{file.stem}', _globals)", f"'{target.package}.{file.stem}', _globals)")


def replaced_once(file: Path, source: str, old: str, new: str) -> str:
    count = source.count(old)
    if count != 1:
        raise GenerationError(f"{file.name}: expected {old!r} once in protoc's output, got it {count} times")
    return source.replace(old, new)


def write(protos: Path, target: Target) -> None:
    """Compile `protos` into the target's directory; modules whose .proto is gone go too."""
    with tempfile.TemporaryDirectory() as fresh:
        compile_protos(protos, target, Path(fresh))
        target.directory.mkdir(parents=True, exist_ok=True)
        for stale in sorted(sources(target.directory) - sources(Path(fresh))):
            (target.directory / stale).unlink()
        for name in sorted(sources(Path(fresh))):
            (target.directory / name).write_bytes((Path(fresh) / name).read_bytes())


def differences(protos: Path, target: Target) -> list[Path]:
    """Return the files of the target's directory that compiling `protos` would change, add or remove."""
    with tempfile.TemporaryDirectory() as fresh:
        compile_protos(protos, target, Path(fresh))
        names = sorted(sources(target.directory) | sources(Path(fresh)))
        _, changed, missing = filecmp.cmpfiles(target.directory, fresh, names, shallow=False)
        return [target.directory / name for name in sorted(changed + missing)]


def sources(directory: Path) -> set[str]:
    return {file.name for file in directory.glob("*.py*") if file.suffix in {".py", ".pyi"}}


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile .proto files for the server, the client and tests.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    try:
        if not parser.parse_args().check:
            for target in TARGETS:
                write(target.protos, target)
            return 0
        stale = [file for target in TARGETS for file in differences(target.protos, target)]
    except GenerationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for file in stale:
        print(f"{file}: not what its .proto compiles to; run `make proto`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
