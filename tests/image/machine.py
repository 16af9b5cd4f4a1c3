"""The machine that builds: whether it can, the programs it needs, and how pip works on it.

Images are built and run without an engine, as root: buildah makes them, runc runs them, debootstrap makes a base
where none can be pulled. They are Debian's packages, installed where they are missing.
"""

import ast
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.image.commands import run

PACKAGES = ("buildah", "debian-archive-keyring", "debootstrap", "runc")
CERTIFICATES = "/etc/ssl/certs"
"""Where the machine's certificates are mounted in a build: a directory that every base has."""
_PIP_OPTIONS = ("cert", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host")


class NotHere(Exception):
    """Images cannot be built on this machine; the text says why."""


def prepare(say: Callable[[str], None]) -> None:
    """Install what is missing; raises NotHere where that is not to be had."""
    if os.geteuid() != 0:
        raise NotHere("buildah and runc need root here; with Docker: docker build --target cpu --tag naiad:cpu .")
    names = _distribution()
    if "debian" not in names or shutil.which("apt-get") is None:
        raise NotHere(f"it needs Debian's packages {', '.join(PACKAGES)}, this is {names or platform.system()}")
    missing = [package for package in PACKAGES if not _installed(package)]
    if missing:
        say(f"installing Debian's {', '.join(missing)}")
        run(["apt-get", "update", "--quiet"])
        install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        run(["env", "DEBIAN_FRONTEND=noninteractive", *install, *missing])


def _distribution() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".replace('"', "").strip()


def _installed(package: str) -> bool:
    return f"Package: {package}\nStatus: install ok installed\n" in Path("/var/lib/dpkg/status").read_text()


def pip_mounts(directory: Path) -> dict[Path, str]:
    """What a build gets of this machine's pip: source -> target; `directory` is for the configuration made here.

    Its index, proxy and certificates are kept; what names files of the machine otherwise is left out.
    """
    options = _pip_options(run([sys.executable, "-m", "pip", "config", "list"]))
    mounts: dict[Path, str] = {}
    if certificate := options.get("cert"):
        mounts[Path(certificate).parent] = CERTIFICATES
        options["cert"] = f"{CERTIFICATES}/{Path(certificate).name}"
    written = directory / "pip.conf"
    lines = [f"{name} = {value}".replace("\n", "\n    ") for name, value in options.items()]
    written.write_text("\n".join(["[global]", *lines, ""]))
    return mounts | {written: "/etc/pip.conf"}


def _pip_options(listed: str) -> dict[str, str]:
    """The options of `pip config list`, the environment's last: they win."""
    found = re.findall(r"^(global|install|:env:)\.([a-z-]+)=(.+)$", listed, re.MULTILINE)
    ranked = sorted(found, key=lambda option: ("global", "install", ":env:").index(option[0]))
    return {name: str(ast.literal_eval(value)) for _, name, value in ranked if name in _PIP_OPTIONS}
