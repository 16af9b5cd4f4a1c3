"""Puts Debian's valgrind into `.venv` (tests/tools/installation.py says how): what callgrind needs of it.

    python -m benchmarks.install_valgrind [--venv DIRECTORY]

That is the program, and the directory of its tools, which it is told of by a variable.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import servers
from tests.tools.debian import extract, run
from tests.tools.installation import Program, install, main

DEBIAN_PACKAGE = "valgrind"
STARTER = """\
#!/bin/sh
VALGRIND_LIB="$(dirname -- "$0")/tools" exec "$(dirname -- "$0")/valgrind.bin" "$@"
"""


def assemble(parts: Path) -> None:
    """Fetch the program and its tools into `parts`, and try them out there."""
    with tempfile.TemporaryDirectory(prefix="valgrind-") as scratch:
        root = extract(DEBIAN_PACKAGE, Path(scratch))
        shutil.copytree(root / "usr/libexec/valgrind", parts / "tools")
        shutil.copy(root / "usr/bin/valgrind.bin", parts)
    starter = parts / "valgrind"
    starter.write_text(STARTER)
    starter.chmod(0o755)
    run([str(starter), "--tool=callgrind", "--callgrind-out-file=/dev/null", "true"])


VALGRIND = Program("valgrind", ("valgrind",), f"{DEBIAN_PACKAGE}\n{STARTER}", assemble)


def found() -> str:
    """The system's valgrind, or else one in `.venv`; NotHereError where neither can be had."""
    system = shutil.which("valgrind")
    if system is not None:
        return system
    environment = servers.ROOT / ".venv"
    install(VALGRIND, environment)
    return str(environment / "bin" / "valgrind")


if __name__ == "__main__":
    sys.exit(main(VALGRIND))
