"""Puts NVIDIA's `perf_analyzer` into `.venv`, without root and without touching the system.

    python tests/tools/install_perf_analyzer.py [--venv DIRECTORY]

`VENV/bin/perf_analyzer` is a wrapper that starts the program in `VENV/perf_analyzer` with its libraries.

- The program is taken out of the wheel of tritonclient 2.51. Installing that wheel would bring old
  versions of protobuf and numpy with it.
- libcudart comes from NVIDIA's wheel (no GPU is needed), libb64 from the distribution, checked by apt.
- All is put together and tried out in a directory of its own, then renamed: nothing is half installed.
- What cannot be had here (no network, another kind of machine) is said, and the exit code is 0: tests
  that need the program find out for themselves. A download other than what is pinned here is an error.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


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
WRAPPER = """\
#!/bin/sh
parts=$(CDPATH= cd -- "$(dirname -- "$0")/../perf_analyzer" && pwd) || exit 127
LD_LIBRARY_PATH="$parts${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$parts/perf_analyzer" "$@"
"""
STAMP = "installed-from"
STEP_SECONDS = 300


class NotHereError(Exception):
    """A part cannot be had on this machine; the message says which, and why."""


def main() -> int:
    arguments = argparse.ArgumentParser(description="Install perf_analyzer into a virtual environment.")
    default = Path(__file__).resolve().parents[2] / ".venv"
    arguments.add_argument("--venv", type=Path, default=default, help="the virtual environment (%(default)s)")
    venv = arguments.parse_args().venv.resolve()
    try:
        message = install(venv)
    except NotHereError as error:
        print(f"perf_analyzer is not installed: {error}", file=sys.stderr)
        return 0
    print(message)
    return 0


def install(venv: Path) -> str:
    """Bring `venv` to the pinned perf_analyzer, and say in a line what was done."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NotHereError(f"it is built for Linux on x86_64, this is {sys.platform} on {platform.machine()}")
    if not (venv / "bin").is_dir():
        raise NotHereError(f"{venv} is no virtual environment; create it first")
    with locked(venv):
        return install_locked(venv)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one installation run at a time: the second waits, and finds it done."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def install_locked(venv: Path) -> str:
    wrapper, parts, partial = (
        venv / "bin/perf_analyzer",
        venv / "perf_analyzer",
        venv / "perf_analyzer.partial",
    )
    if is_current(wrapper, parts):
        return f"{wrapper} is there already"
    remove(partial)  # of a run that was killed
    try:
        partial.mkdir()
        assemble(partial)
        wrapper.unlink(missing_ok=True)
        remove(parts)
        partial.rename(parts)
        write_wrapper(wrapper)
    finally:
        remove(partial)
    return f"{wrapper} installed"


def is_current(wrapper: Path, parts: Path) -> bool:
    """Tell whether these very parts are there: the wrapper is written last, and removed first."""
    stamp = parts / STAMP
    return wrapper.is_file() and stamp.is_file() and stamp.read_text() == stamp_text()


def stamp_text() -> str:
    return "".join(f"{part}\n" for part in (*WHEELS, DEBIAN_PACKAGE, WRAPPER))


def remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def assemble(parts: Path) -> None:
    """Fetch every part into `parts`, try the program out there, and stamp it."""
    with tempfile.TemporaryDirectory(prefix="perf_analyzer-") as scratch:
        for wheel in WHEELS:
            take_from_wheel(wheel, Path(scratch), parts)
        take_from_package(Path(scratch), parts)
    program = parts / "perf_analyzer"
    program.chmod(0o755)
    run([str(program), "--version"], env=os.environ | {"LD_LIBRARY_PATH": str(parts)})
    (parts / STAMP).write_text(stamp_text())


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


def take_from_package(scratch: Path, parts: Path) -> None:
    """Download the distribution's package with package lists of our own, and copy the library out of it."""
    for state in ("lists/partial", "cache/archives/partial", "package"):
        (scratch / state).mkdir(parents=True)
    apt = [tool("apt-get"), "--quiet", *(f"--option={option}" for option in apt_options(scratch))]
    warnings = run([*apt, "update"])  # one source out of reach is no error: it may be another that is needed
    try:
        run([*apt, "download", DEBIAN_PACKAGE], cwd=scratch / "package")
    except NotHereError as error:
        raise NotHereError(f"{error}\n{warnings}".strip()) from None
    (downloaded,) = (scratch / "package").glob("*.deb")
    run([tool("dpkg-deb"), "--extract", str(downloaded), str(scratch / "package")])
    library, *_ = (scratch / "package").rglob(DEBIAN_LIBRARY)
    (parts / DEBIAN_LIBRARY).write_bytes(library.read_bytes())


def apt_options(scratch: Path) -> tuple[str, ...]:
    """Return what makes apt work as any user: its own directories, and nothing fetched but package lists."""
    return (
        f"Dir::State::Lists={scratch / 'lists'}",
        f"Dir::Cache={scratch / 'cache'}",
        "Dir::State::Status=/dev/null",
        "APT::Sandbox::User=root",  # as root apt would become a user who cannot write here
        "Acquire::Languages=none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        "Acquire::Retries=1",
        "Acquire::http::Timeout=20",
        "Acquire::https::Timeout=20",
    )


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotHereError(f"it needs {name} to get {DEBIAN_LIBRARY} from a Debian or Ubuntu package")
    return found


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command that fails without network, or on another kind of machine; return its warnings."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, timeout=STEP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotHereError(f"`{shlex.join(command)}` took more than {STEP_SECONDS} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise NotHereError(f"`{shlex.join(command)}` ended with {done.returncode}:\n{said}")
    return done.stderr


def write_wrapper(wrapper: Path) -> None:
    unfinished = wrapper.with_name(f".{wrapper.name}")
    unfinished.write_text(WRAPPER)
    unfinished.chmod(0o755)
    unfinished.rename(wrapper)


if __name__ == "__main__":
    sys.exit(main())
