"""Compiles protos/*.proto into the package naiad.protocol.generated.

`python protos/generate.py` writes the modules; with `--check` it compares those that are there with a fresh
compilation and exits 1 where they differ. Both want grpcio-tools and mypy-protobuf in the versions of
requirements/dev.lock, which decide every byte of the output.

protoc's modules are changed in three ways, each of which must apply exactly once where it is expected:
- they live in our own descriptor pool, since the default one refuses a second `inference` package;
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

PROTOS = Path(__file__).resolve().parent
GENERATED = PROTOS.parent / "server" / "naiad" / "protocol" / "generated"
PACKAGE = "naiad.protocol.generated"

INIT = '''"""The modules that `make proto` compiles from protos/: never edited by hand."""
'''
POOL_IMPORT = "from google.protobuf import descriptor_pool as _descriptor_pool\n"
OWN_POOL_IMPORT = "from naiad.protocol.pool import POOL as _POOL\n"
SIBLING_IMPORT = re.compile(r"^import (\w+_pb2) as (\w+)$", re.MULTILINE)


class GenerationError(Exception):
    """protoc failed, or wrote something else than the rewriting here expects."""


def compile_protos(protos: Path, destination: Path) -> None:
    """Compile all of the directory `protos` into a complete package in the empty directory `destination`."""
    names = sorted(file.name for file in protos.glob("*.proto"))
    run_protoc(protos, names, destination)
    for stem in (name.removesuffix(".proto") for name in names):
        module, stub = destination / f"{stem}_pb2.py", destination / f"{stem}_pb2.pyi"
        module.write_text(with_own_pool(module, with_absolute_imports(module.read_text())))
        stub.write_text(with_absolute_imports(stub.read_text()))
    (destination / "__init__.py").write_text(INIT)


def run_protoc(protos: Path, names: list[str], destination: Path) -> None:
    """Run protoc with the mypy plugin of this interpreter's environment."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={protos}"]
    command += [f"--python_out={destination}", f"--mypy_out=quiet:{destination}", *names]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    code = subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode
    if code != 0:
        raise GenerationError(f"protoc exited with {code}; its command was: {' '.join(command)}")


def with_absolute_imports(source: str) -> str:
    """Import sibling modules from our package instead of from the top level."""
    return SIBLING_IMPORT.sub(rf"from {PACKAGE} import \1 as \2", source)


def with_own_pool(file: Path, source: str) -> str:
    """Describe the module in our pool, under its full name."""
    source = replaced_once(file, source, POOL_IMPORT, OWN_POOL_IMPORT)
    source = replaced_once(file, source, "_descriptor_pool.Default()", "_POOL")
    return replaced_once(file, source, f"'{file.stem}', _globals)", f"'{PACKAGE}.{file.stem}', _globals)")


def replaced_once(file: Path, source: str, old: str, new: str) -> str:
    count = source.count(old)
    if count != 1:
        raise GenerationError(f"{file.name}: expected {old!r} once in protoc's output, got it {count} times")
    return source.replace(old, new)


def write(protos: Path, destination: Path) -> None:
    """Compile `protos` into `destination`; modules whose .proto is gone go too."""
    with tempfile.TemporaryDirectory() as fresh:
        compile_protos(protos, Path(fresh))
        destination.mkdir(parents=True, exist_ok=True)
        for stale in sorted(sources(destination) - sources(Path(fresh))):
            (destination / stale).unlink()
        for name in sorted(sources(Path(fresh))):
            (destination / name).write_bytes((Path(fresh) / name).read_bytes())


def differences(protos: Path, destination: Path) -> list[str]:
    """Return the files of `destination` that compiling `protos` would change, add or remove."""
    with tempfile.TemporaryDirectory() as fresh:
        compile_protos(protos, Path(fresh))
        names = sorted(sources(destination) | sources(Path(fresh)))
        _, changed, missing = filecmp.cmpfiles(destination, fresh, names, shallow=False)
        return sorted(changed + missing)


def sources(directory: Path) -> set[str]:
    return {file.name for file in directory.glob("*.py*") if file.suffix in {".py", ".pyi"}}


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile protos/*.proto into naiad.protocol.generated.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    try:
        if not parser.parse_args().check:
            write(PROTOS, GENERATED)
            return 0
        stale = differences(PROTOS, GENERATED)
    except GenerationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name in stale:
        print(f"{GENERATED / name}: not what protos/ compile to; run `make proto`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
