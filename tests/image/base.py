"""The base images of a build: the real ones where they can be pulled, else stand-ins.

The stand-in for `python:3.11-slim-bookworm` is Debian bookworm with Debian's own Python 3.11, made by debootstrap. It
is larger (Debian's pip brings some more packages), and its Python is an older patch release in another directory.

The stand-in for `rust:1.95-slim-bookworm` is that with Debian's C compiler and the Rust of this machine.
"""

import hashlib
import shutil
from pathlib import Path

from tests.image.builder import Buildah
from tests.image.commands import CommandFailed, run

RELEASE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
PULL_SECONDS = 300.0
BOOTSTRAP_SECONDS = 900.0
_RECIPE = hashlib.sha256(f"1 {RELEASE} {PACKAGES} {PATH}".encode()).hexdigest()[:12]
STAND_IN = f"localhost/naiad-image-test/python-stand-in:{_RECIPE}"
COMPILER = ("gcc", "libc6-dev")
TOOLS = ("cargo", "rustc")


def pulled(buildah: Buildah, image: str) -> str | None:
    """Get the image from its registry, once; gives None for success and otherwise why it cannot be had."""
    try:
        buildah("pull", "--policy", "missing", "--retry", "0", image, seconds=PULL_SECONDS)
    except CommandFailed as error:
        return str(error).rsplit(": ", 1)[-1].strip()
    return None


def stand_in(buildah: Buildah) -> str:
    """The name of the stand-in, made unless an earlier run has left it."""
    if not buildah.has(STAND_IN):
        with buildah.container("scratch") as container:
            _bootstrap(Path(buildah("mount", container)))
            buildah("config", "--env", f"PATH={PATH}", "--cmd", "python3", container)
            buildah("commit", "--quiet", "--format", "docker", container, STAND_IN)
    return STAND_IN


def toolchain() -> Path | None:
    """Where the Rust of this machine is, if there is any."""
    if any(shutil.which(tool) is None for tool in TOOLS):
        return None
    return Path(run(["rustc", "--print", "sysroot"]).strip())


def rust_stand_in(buildah: Buildah, toolchain: Path) -> str:
    """The name of the stand-in for Rust's image, made unless an earlier run has left it for the same Rust."""
    version = run(["rustc", "--version", "--verbose"])
    recipe = hashlib.sha256(f"1 {_RECIPE} {COMPILER} {version}".encode()).hexdigest()[:12]
    name = f"localhost/naiad-image-test/rust-stand-in:{recipe}"
    if not buildah.has(name):
        with buildah.container(stand_in(buildah)) as container:
            for command in (["update"], ["install", "--yes", "--no-install-recommends", *COMPILER]):
                buildah("run", "--isolation", "chroot", "--network", "host", container, "--", "apt-get", *command)
            _copy_toolchain(toolchain, Path(buildah("mount", container)) / "usr/local")
            buildah("commit", "--quiet", "--format", "docker", container, name)
    return name


def _copy_toolchain(toolchain: Path, into: Path) -> None:
    """Copy what compiles for this kind of machine: the tools, their libraries, and the standard library."""
    host = run(["rustc", "--print", "host-tuple"]).strip()
    for tool in TOOLS:
        shutil.copy2(toolchain / "bin" / tool, into / "bin" / tool)
    for library in (toolchain / "lib").glob("lib*"):
        shutil.copy2(library, into / "lib" / library.name)
    shutil.copytree(toolchain / "lib/rustlib" / host, into / "lib/rustlib" / host)


def _bootstrap(root: Path) -> None:
    run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, root], BOOTSTRAP_SECONDS)
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    for listed in (root / "var/lib/apt/lists").glob("*_*"):
        listed.unlink()
    (root / "etc/pip.conf").touch()  # a file to mount on, which a build would otherwise leave in its image
