"""Build a wheel that runs on every Linux of a machine's kind, and try it in clean environments: `make wheel`.

    python -m tests.packaging.wheel [--arch x86_64] [--arch aarch64]

- The wheel is built from the sdist, so that what only this tree has is missed here and not by others. Both go to dist/.
- zig links against the glibc of the tag, which is older than the one of this machine.
- The tag is what auditwheel says it is.
- A wheel for this kind of machine is installed, with what it asks for, and serves a request, on every Python that is
  supported and found. What was not tried is said.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.packaging import pythons, smoke

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
BUILT = ROOT / "build/wheel"
"""Where cargo keeps what it has built for wheels."""
GLIBC = "2.17"
"""The oldest that Rust's standard library runs on; grpcio and protobuf ask for the same."""
ARCHITECTURES = ("x86_64", "aarch64")


class Failed(Exception):
    """A wheel could not be built, or is not what it says it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.packaging.wheel", description=(__doc__ or "").split("\n")[0])
    here = platform.machine()
    parser.add_argument(
        "--arch", action="append", choices=ARCHITECTURES, help=f"what to build for; may be repeated ({here})"
    )
    try:
        for architecture in parser.parse_args(arguments).arch or [here]:
            wheel = build(architecture)
            audit(wheel)
            if architecture == here:
                try_out(wheel)
            else:
                say(f"{wheel.name} is not tried: this machine is {here}")
    except Failed as failure:
        say(f"FAILED: {failure}")
        return 1
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def build(architecture: str) -> Path:
    """Build the sdist and, from it, the wheel; gives the wheel."""
    tag = f"manylinux_{GLIBC.replace('.', '_')}_{architecture}"
    option = f"-C--build-option=--plat-name={tag}"
    with tempfile.TemporaryDirectory() as made:
        run([sys.executable, "-m", "build", "--no-isolation", "--outdir", made, option, ROOT], settings(architecture))
        (built,) = Path(made).glob("*.whl")
        DIST.mkdir(exist_ok=True)
        for product in Path(made).iterdir():
            shutil.move(product, DIST / product.name)
    say(f"{DIST / built.name}: {(DIST / built.name).stat().st_size / 1e6:.2f} MB")
    return DIST / built.name


def settings(architecture: str) -> Mapping[str, str]:
    """Return the environment that makes setuptools-rust build for the architecture, with zig as the linker.

    Where the sources of other crates were on this machine is nobody's business: their paths are cut off.
    """
    triple = f"{architecture}-unknown-linux-gnu"
    if not libraries(triple).is_dir():
        raise Failed(f"Rust's libraries for {triple} are missing: rustup target add {triple}")
    crates = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry/src"
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BUILD_NAIAD_NATIVE": "required",
        "CARGO": "cargo-zigbuild",
        "CARGO_BUILD_TARGET": f"{triple}.{GLIBC}",
        "CARGO_TARGET_DIR": str(BUILT),
        "RUSTFLAGS": f"--remap-path-prefix={crates}=crates",
    }


def libraries(triple: str) -> Path:
    """Where Rust has, or would have, its libraries for a target."""
    if shutil.which("rustc") is None or shutil.which("cargo") is None:
        raise Failed("no rustc or no cargo in PATH; https://rustup.rs has both")
    return Path(run(["rustc", "--print", "target-libdir", "--target", triple]).strip())


def audit(wheel: Path) -> None:
    """Raise Failed unless the wheel's tag is what auditwheel finds."""
    shown = json.loads(run([Path(sys.executable).parent / "auditwheel", "show", "--json", wheel]))
    if why := disagreement(wheel.name, shown):
        raise Failed(why)
    say(f"auditwheel agrees: {shown['overall_tag']}")


def disagreement(name: str, shown: Mapping[str, object]) -> str:
    """Say in what a wheel's name and what auditwheel shows of the wheel differ, or nothing."""
    tag = re.fullmatch(r"[^-]+-[^-]+-cp311-abi3-(\w+)\.whl", name)
    if tag is None:
        return f"got {name}, expected a wheel for Python's limited API, with the tag cp311-abi3"
    if shown.get("overall_tag") != tag.group(1):
        return f"{name} says {tag.group(1)}, and is {shown.get('overall_tag')}: {shown.get('versioned_symbols')}"
    if external := shown.get("external_libs"):
        return f"{name} needs libraries that it has not: {external}"
    return ""


def try_out(wheel: Path) -> None:
    """Install the wheel for each Python that is here, and serve a request; what is not here is said."""
    found = pythons.find()
    for version in pythons.VERSIONS:
        if version not in found:
            say(f"Python {version}: skipped, it is neither in PATH nor among pyenv's versions")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            say(tried(wheel, found[version], Path(scratch)))
    if not found:
        raise Failed(f"none of Python {', '.join(pythons.VERSIONS)} is here: the wheel was not tried")


def tried(wheel: Path, python: Path, scratch: Path) -> str:
    """Return what was seen of the wheel in an environment of its own."""
    run([python, "-m", "venv", scratch / "venv"])
    clean = scratch / "venv/bin/python"
    constraint = ROOT / "requirements/serve.lock"
    run([clean, "-m", "pip", "install", "--disable-pip-version-check", "--constraint", constraint, wheel])
    (scratch / "models").mkdir()
    return run([clean, "-I", smoke.__file__, scratch / "models"]).strip()


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """Run a command in an empty directory and return what it printed; raises Failed with the end of its output."""
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(command, cwd=nowhere, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-60:])
        raise Failed(f"`{' '.join(map(str, command))}` ended with {done.returncode}:\n{said}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
