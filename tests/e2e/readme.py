"""Runs what README.md tells its reader to run, in order, as the reader would.

- Blocks marked ```bash and ```python count; others are for reading. Each block runs in a directory that looks like
  the repository's root, with a `models` of the reader's own; python blocks run in the environment of the tests.
- `naiad serve ...`, and `make serve` by way of its recipe, start the server that later blocks talk to, in place of
  the one before; it takes free ports, and `localhost:8001` and `localhost:8000` in later blocks mean those.
- Other `make` verbs must exist and are not run. `pip install` must find everything installed already, in that version.
- Whatever else is run must end with exit code 0.
"""

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.e2e.server import PATIENCE, Server

FENCED = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = Path(sys.executable).parent
IN_VENV = ".venv/bin/"
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
"""What `make test` leaves in the environment; a reader's own make is nobody's child."""


class Block(NamedTuple):
    """A fenced block; `line` is where its first line stands in the file."""

    language: str
    text: str
    line: int


def blocks(markdown: str) -> list[Block]:
    return [
        Block(match.group(1), match.group(2), markdown.count("\n", 0, match.start(2)) + 1)
        for match in FENCED.finditer(markdown)
    ]


def commands(block: Block) -> list[list[str]]:
    """Return the commands of a bash block as lists of words, without comments."""
    joined = block.text.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


class Reader:
    """Follows the instructions; `root` looks like the repository's root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._server: Server | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def follow(self, block: Block) -> str:
        """Run a block and return what it printed; AssertionError with the block's line if anything fails."""
        try:
            if block.language == "python":
                return self._run([sys.executable, "-W", "error", "-c", self._addressed(block.text)])
            return "".join(self._command(words) for words in commands(block))
        except AssertionError as error:
            raise AssertionError(f"README.md, line {block.line}: {error}") from error

    def _command(self, words: list[str]) -> str:
        program, arguments = words[0].removeprefix(IN_VENV), words[1:]
        match program, arguments:
            case "naiad", ["serve", *flags]:
                return self._serve(flags)
            case "make", ["serve"]:
                return self._command(shlex.split(self._recipe("serve")[-1]))
            case "make", verbs:
                return "".join(f"{line}\n" for line in self._recipe(*verbs))
            case "pip", ["install", *what]:
                return self._run([str(PROGRAMS / "pip"), "install", "--dry-run", "--no-index", *what])
        inside = str(PROGRAMS / program) if words[0].startswith(IN_VENV) else program
        return self._run([inside, *map(self._addressed, arguments)])

    def _serve(self, flags: list[str]) -> str:
        self._stack.close()
        self._server = self._stack.enter_context(Server(flags=flags, directory=self._root))
        return self._server.log

    def _recipe(self, *verbs: str) -> list[str]:
        """Return the commands that make would run; make itself says so when it does not know the verb."""
        return self._run(["make", "--dry-run", *verbs]).splitlines()

    def _addressed(self, text: str) -> str:
        if self._server is None:
            return text
        return text.replace("localhost:8001", self._server.grpc).replace("localhost:8000", self._server.http)

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self._root,
            env={name: value for name, value in os.environ.items() if name not in OF_MAKE},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout
