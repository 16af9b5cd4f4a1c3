"""Runs what a page tells its reader to run, in order, as the reader would.

- Blocks marked ```bash and ```python count; others are for reading. Each block runs in a directory that looks like
  the repository's root, with a `models` of the reader's own; python blocks run in the environment of the tests.
- Where the word `prints` stands alone between such a block and one marked ```text, that is what it must print, with
  `...` for what differs from time to time.
- `naiad serve ...`, and `make serve` by way of its recipe, start the server that later blocks talk to, in place of
  the one before; it takes free ports of 127.0.0.1, and `localhost:8001`, `localhost:8000` and `localhost:8002` in
  later blocks mean those.
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

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("bash", "python")
PROGRAMS = Path(sys.executable).parent
IN_VENV = ".venv/bin/"
OPERATORS = {"|", "&&", "||", ">", "<"}
WHERE_TO_LISTEN = re.compile(r"--\w+-(port|address)(=.*)?")
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
"""What `make test` leaves in the environment; a reader's own make is nobody's child."""


class Block(NamedTuple):
    """A fenced block; `line` is where its first line stands in the file, `prints` what it promises to print."""

    language: str
    text: str
    line: int
    prints: str | None = None


def fences(markdown: str) -> list[Block]:
    """Every fenced block of a page, whatever it is for."""
    found: list[Block] = []
    end = 0
    for match in FENCED.finditer(markdown):
        language, text = match.groups()
        if language == "text" and markdown[end : match.start()].strip() == "prints":
            found[-1] = found[-1]._replace(prints=text)
        found.append(Block(language, text, markdown.count("\n", 0, match.start(2)) + 1))
        end = match.end()
    return found


def blocks(markdown: str) -> list[Block]:
    """The blocks that are run."""
    return [block for block in fences(markdown) if block.language in RUN]


def commands(block: Block) -> list[list[str]]:
    """Return the commands of a bash block as lists of words, without comments."""
    joined = block.text.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def agrees(printed: str, promised: str) -> bool:
    """Whether a program printed what a page promises, where `...` stands for anything."""
    pattern = ".*?".join(map(re.escape, promised.split("...")))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


class Reader:
    """Follows the instructions of a page. `root` looks like the repository's root; `server` runs already."""

    def __init__(self, root: Path, page: str = "README.md", server: Server | None = None) -> None:
        self._root = root
        self._page = page
        self._server = server
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
            printed = self._follow(block)
            promised = block.prints if block.prints is not None else printed
            assert agrees(printed, promised), f"it printed\n{printed}instead of\n{promised}"
        except AssertionError as error:
            raise AssertionError(f"{self._page}, line {block.line}: {error}") from error
        return printed

    def _follow(self, block: Block) -> str:
        if block.language == "python":
            return self._run([sys.executable, "-W", "error", "-c", self._addressed(block.text)])
        return "".join(self._command(words) for words in commands(block))

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
        if OPERATORS.isdisjoint(words):
            return self._run([program, *map(self._addressed, arguments)])
        line = " ".join(word if word in OPERATORS else shlex.quote(self._addressed(word)) for word in words)
        return self._run(["bash", "-o", "pipefail", "-c", line])

    def _serve(self, flags: list[str]) -> str:
        self._stack.close()
        self._server = self._stack.enter_context(Server(flags=elsewhere(flags), directory=self._root))
        return self._server.log

    def _recipe(self, *verbs: str) -> list[str]:
        """Return the commands that make would run; make itself says so when it does not know the verb."""
        return self._run(["make", "--dry-run", *verbs]).splitlines()

    def _addressed(self, text: str) -> str:
        if self._server is None:
            return text
        text = text.replace("localhost:8001", self._server.grpc).replace("localhost:8000", self._server.http)
        return text.replace("localhost:8002", self._server.metrics) if "localhost:8002" in text else text

    def _run(self, command: list[str]) -> str:
        """Run a program to its end; those beside the tests' own Python are found first."""
        environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
        done = subprocess.run(
            command,
            cwd=self._root,
            env=environment | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


def elsewhere(flags: list[str]) -> list[str]:
    """The flags without ports and addresses: what tests start listens on free ports of 127.0.0.1."""
    kept: list[str] = []
    for i, flag in enumerate(flags):
        follows = i > 0 and (before := WHERE_TO_LISTEN.fullmatch(flags[i - 1])) is not None and before[2] is None
        if not follows and WHERE_TO_LISTEN.fullmatch(flag) is None:
            kept.append(flag)
    return kept
