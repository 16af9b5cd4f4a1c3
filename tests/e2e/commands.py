"""`naiad serve` when it is to end by itself: because it cannot start, or because it is asked to."""

import os
import subprocess

from tests.e2e.server import PATIENCE, command

CANNOT_START = 2
PORTS = ("--grpc-port=0", "--http-port=0", "--metrics-port=0")


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `naiad serve` to its end, which must come by itself."""
    done = subprocess.run(
        command("serve", *arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def complaint(*arguments: str, **environment: str) -> str:
    """Return the one line with which `naiad serve` says that it cannot start."""
    done = serve(*arguments, **environment)
    assert done.returncode == CANNOT_START, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("naiad serve: ")]
    return line
