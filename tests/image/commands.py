"""Other programs, run to their end: what they said is in the error when they fail."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

SECONDS = 900.0
LINES_SHOWN = 60


class CommandFailed(Exception):
    """A program ended with another code than 0, or not in time; the text has the command and the end of its output."""


def run(command: Sequence[str | Path], seconds: float = SECONDS) -> str:
    """Run a command and return its stdout; raises CommandFailed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"`{shlex.join(words)}` took more than {seconds:g} s") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-LINES_SHOWN:])
        raise CommandFailed(f"`{shlex.join(words)}` ended with {done.returncode}:\n{said}")
    return done.stdout
