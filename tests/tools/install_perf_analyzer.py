"""Puts NVIDIA's `perf_analyzer` into `.venv` (tests/tools/installation.py says how).

    python -m tests.tools.install_perf_analyzer [--venv DIRECTORY]

- The program is taken out of the wheel of tritonclient 2.51. Installing that wheel would bring old
  versions of protobuf and numpy with it.
- libcudart comes from NVIDIA's wheel (no GPU is needed), libb64 from the distribution, checked by apt.
- A download other than what is pinned here is an error.
"""

import hashlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from tests.tools.debian import extract, run
from tests.tools.installation import Program, main


class Wheel(NamedTuple):
    requirement: str
    sha256: str
    member: str


WHEELS = (
    Wheel(
        "tritonclient==2.51.0",
        "c485bb0123bdf310f90bc8b03d3489b28df2ffed55b30c7eee0b795b48113d52",
        "tritonclient-2.51.0.data/data/bin/perf_analyzer",
    ),
    Wheel(
        "nvidia-cuda-runtime-cu12==12.9.79",
        "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3",
        "nvidia/cuda_runtime/lib/libcudart.so.12",
    ),
)
DEBIAN_PACKAGE = "libb64-0d"
DEBIAN_LIBRARY = "libb64.so.0d"


def assemble(parts: Path) -> None:
    """Fetch every part into `parts`, and try the program out there."""
    with tempfile.TemporaryDirectory(prefix="perf_analyzer-") as scratch:
        for wheel in WHEELS:
            take_from_wheel(wheel, Path(scratch), parts)
        library, *_ = extract(DEBIAN_PACKAGE, Path(scratch)).rglob(DEBIAN_LIBRARY)
        (parts / DEBIAN_LIBRARY).write_bytes(library.read_bytes())
    program = parts / "perf_analyzer"
    program.chmod(0o755)
    run([str(program), "--version"], env=os.environ | {"LD_LIBRARY_PATH": str(parts)})


def take_from_wheel(wheel: Wheel, scratch: Path, parts: Path) -> None:
    """Download one wheel without its dependencies and copy the one file that is needed out of it."""
    directory = scratch / wheel.requirement
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
    run([*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", str(directory), wheel.requirement])
    (downloaded,) = directory.glob("*.whl")
    got = hashlib.sha256(downloaded.read_bytes()).hexdigest()
    if got != wheel.sha256:
        raise RuntimeError(f"{downloaded.name} has the SHA-256 {got}, expected {wheel.sha256}")
    with zipfile.ZipFile(downloaded) as archive:
        (parts / Path(wheel.member).name).write_bytes(archive.read(wheel.member))


PERF_ANALYZER = Program(
    "perf_analyzer", ("perf_analyzer",), "".join(f"{part}\n" for part in (*WHEELS, DEBIAN_PACKAGE)), assemble
)

if __name__ == "__main__":
    sys.exit(main(PERF_ANALYZER))
