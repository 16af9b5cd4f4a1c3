"""The crate's own tests, run by cargo against the Python that runs this."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.packaging.builds import ROOT
from tests.requirements import require

CRATE = ROOT / "server/native"
SHOWN = 8000


def cargo_test(directory: Path, *arguments: str, **variables: str) -> str:
    """Run `cargo test`, which must succeed; return what it says. directory: for what is thrown away.

    arguments: for the tests; variables: of their environment. Skips where there is no cargo, or no libpython.
    """
    require("cargo", shutil.which("cargo") is not None, "no cargo in PATH: https://rustup.rs")
    libraries = str(sysconfig.get_config_var("LIBDIR"))
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    linking = ["cc", "-shared", "-o", str(directory / "nothing.so"), f"-L{libraries}", f"-l{python}"]
    linked = subprocess.run(linking, capture_output=True, text=True, check=False)
    require("cargo", linked.returncode == 0, f"programs cannot be linked with lib{python}: {linked.stderr}")
    environment = os.environ | {"PYO3_PYTHON": sys.executable, "LD_LIBRARY_PATH": libraries} | variables
    command = ["cargo", "test", "--locked", "--quiet", "--", *arguments]
    done = subprocess.run(command, cwd=CRATE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-SHOWN:] + done.stderr[-SHOWN:]
    return done.stdout
