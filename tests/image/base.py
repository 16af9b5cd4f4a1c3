"""The base image of a build: the real one where it can be pulled, else one made by debootstrap.

The stand-in for `python:3.11-slim-bookworm` is Debian bookworm with Debian's own Python 3.11. It is larger (Debian's
pip brings some more packages), and its Python is an older patch release in another directory.
"""

import hashlib
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


def _bootstrap(root: Path) -> None:
    run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, root], BOOTSTRAP_SECONDS)
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    for listed in (root / "var/lib/apt/lists").glob("*_*"):
        listed.unlink()
    (root / "etc/pip.conf").touch()  # a file to mount on, which a build would otherwise leave in its image
