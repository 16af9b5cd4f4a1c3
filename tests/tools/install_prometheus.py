"""Puts Prometheus and its `promtool` into `.venv` (tests/tools/installation.py says how).

    python -m tests.tools.install_prometheus [--venv DIRECTORY]

Both are single programs that need nothing but the C library. They are taken out of the distribution's package, in the
version that it has (2.42 in Debian 12), checked by apt. Its service, user and web pages are left out.
"""

import sys
import tempfile
from pathlib import Path

from tests.tools.debian import extract, run
from tests.tools.installation import Program, main

DEBIAN_PACKAGE = "prometheus"
COMMANDS = ("prometheus", "promtool")


def assemble(parts: Path) -> None:
    """Fetch both programs into `parts`, and try them out there."""
    with tempfile.TemporaryDirectory(prefix="prometheus-") as scratch:
        root = extract(DEBIAN_PACKAGE, Path(scratch))
        for command in COMMANDS:
            program = parts / command
            program.write_bytes((root / "usr/bin" / command).read_bytes())
            program.chmod(0o755)
            run([str(program), "--version"])


PROMETHEUS = Program("prometheus", COMMANDS, f"{DEBIAN_PACKAGE}\n", assemble)

if __name__ == "__main__":
    sys.exit(main(PROMETHEUS))
