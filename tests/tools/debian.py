"""Takes files out of packages of the distribution, as any user and without touching the system.

apt has package lists, cache and status in a directory of our own, and checks what it downloads against the signed
lists; nothing is installed, and no script of a package is run.
"""

import shlex
import shutil
import subprocess
from pathlib import Path

STEP_SECONDS = 300


class NotHereError(Exception):
    """A part cannot be had on this machine; the message says which, and why."""


def extract(package: str, scratch: Path) -> Path:
    """Download `package` and unpack its files below `scratch`; return the directory that stands for `/`."""
    for state in ("lists/partial", "cache/archives/partial", "package"):
        (scratch / state).mkdir(parents=True)
    apt = [tool("apt-get", package), "--quiet", *(f"--option={option}" for option in options(scratch))]
    warnings = run([*apt, "update"])  # one source out of reach is no error: it may be another that is needed
    try:
        run([*apt, "download", package], cwd=scratch / "package")
    except NotHereError as error:
        raise NotHereError(f"{error}\n{warnings}".strip()) from None
    (downloaded,) = (scratch / "package").glob("*.deb")
    run([tool("dpkg-deb", package), "--extract", str(downloaded), str(scratch / "package")])
    return scratch / "package"


def options(scratch: Path) -> tuple[str, ...]:
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


def tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotHereError(f"it needs {name} to get the Debian or Ubuntu package {package}")
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
