"""What a client gives with a load instead of what the repository has: a config, and files.

Files live in a private directory of their own, and nothing is written or read outside of it. Formats that hold data
alone are taken; such as can run code only where that is allowed, and likewise the backends that would run them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Lock

from google.protobuf import text_format

from naiad.core.errors import InvalidArgument, NaiadError, Unavailable
from naiad.repository import given_config, names
from naiad.repository.loading import Loaded
from naiad.repository.onnx_structure import check
from naiad.repository.reading import ModelReading
from naiad.repository.resolve import Resolved
from naiad.repository.snapshot import ModelSnapshot
from naiad.repository.wanted import Candidate, Progress, Wish
from naiad.repository.windows import Window

LABELS = ".txt"
"""The ending of files that may stand beside the versions."""
DATA = frozenset({
    ".bin", ".csv", ".data", ".json", ".npy", ".npz", ".onnx", ".onnx_data", ".safetensors", LABELS, ".weights",
})  # fmt: skip
"""Endings of files that hold data alone."""
DATA_BACKENDS = frozenset({"identity", "onnxruntime"})
"""Backends that run no code of a model's files, whatever these are called."""
DEEPEST = 8
LONGEST = 255
MOST_FILES = 1000
_CODE = "which is taken with --allow-code-upload only"
_PLACE = Path("the config of the load request")
_SERIALS = count()
_NO_NAME = re.compile(r"[\\:]")


class OverrideDirectory:
    """A directory of given files: there until it is discarded and no version that was loaded from it is left.

    serial: what no other directory of this process has.
    """

    def __init__(self, files: Mapping[str, bytes | memoryview]) -> None:
        self.serial = next(_SERIALS)
        self._users = 0
        self._discarded = False
        self._lock = Lock()
        try:
            root = tempfile.mkdtemp(prefix="naiad-override-")
            self.path = Path(root)
            self._remove = weakref.finalize(self, shutil.rmtree, root, ignore_errors=True)
            self._write(files)
        except OSError as error:
            raise Unavailable(f"the given files cannot be stored: {error.strerror}") from None

    def _write(self, files: Mapping[str, bytes | memoryview]) -> None:
        try:
            for name, content in files.items():
                path = self.path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    file.write(content)
        except OSError:
            self._remove()
            raise

    def enter(self) -> None:
        """Count a version that is being loaded from it."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """Say that a version was closed, or could not be loaded."""
        with self._lock:
            self._users -= 1
            unused = self._discarded and not self._users
        if unused:
            self._remove()

    def discard(self) -> None:
        """Say that no further version is to be loaded from it."""
        with self._lock:
            self._discarded = True
            unused = not self._users
        if unused:
            self._remove()

    def remove(self) -> None:
        """Remove it, whoever uses it: what is open stays readable."""
        self._remove()

    def hide(self, text: str) -> str:
        """A text about the files as who gave them knows them: without the directory's path."""
        return text.replace(f"{self.path}/", "").replace(str(self.path), "the given files")


def check_name(model: str) -> None:
    """Raise InvalidArgument for what cannot be a model's name."""
    if not model:
        raise InvalidArgument("Model name cannot be empty. Please enter a valid name to deploy.")
    if "/" in model or "\\" in model or model.strip() in (".", ".."):
        raise InvalidArgument(f"invalid model name {model!a}, model name must not contain path traversal characters")
    if not model.isprintable() or len(model.encode()) > LONGEST:
        raise InvalidArgument(
            f"invalid model name {model[:LONGEST]!a}, expected printable text of {LONGEST} bytes at most"
        )


def check_files(files: Mapping[str, bytes | memoryview], *, code: bool) -> None:
    """Raise InvalidArgument for the first file that has no place in a version, or is of a format that may run code.

    code: whether such formats are taken.
    """
    if len(files) > MOST_FILES:
        raise InvalidArgument(f"got {len(files)} file overrides, expected {MOST_FILES} at most")
    for name in files:
        if fault := next(_faults(name), ""):
            raise InvalidArgument(f"invalid file override {_shown(name)}: {fault}")
        if within := next((str(p) for p in PurePosixPath(name).parents if str(p) in files), ""):
            raise InvalidArgument(f"invalid file override {_shown(name)}: '{within}' is a file, and no directory")
        ending = PurePosixPath(name).suffix.lower()
        if not code and ending not in DATA:
            raise InvalidArgument(
                f"invalid file override {_shown(name)}: a file that ends in '{ending}' may hold code, {_CODE}; "
                f"expected one of {', '.join(sorted(DATA))}"
            )


def _shown(name: str) -> str:
    return f"{f'file:{name}'[:LONGEST]!a}"


def _faults(name: str) -> Iterator[str]:
    """What is wrong with a file's name."""
    version, slash, path = name.partition("/")
    labels = not slash and name.endswith(LABELS)
    parts = [name] if labels else path.split("/")
    if not labels and names.version(version) is None:
        yield f"got {version[:LONGEST]!a} as the version, expected VERSION/NAME with a plain number"
    if not name.isprintable() or _NO_NAME.search(name):
        yield "a control character, a colon or a backslash is in its name"
    if len(parts) > DEEPEST:
        yield f"it is {len(parts)} levels deep, expected {DEEPEST} at most"
    if any(part.strip() in ("", ".", "..") or part != part.strip() for part in parts):
        yield "expected a path inside the version's directory, without empty parts, '.', '..' and spaces at their ends"
    if any(names.is_leftover(part) for part in parts):
        yield "it is named like something temporary, which is never looked at"
    if any(len(part.encode()) > LONGEST for part in parts):
        yield f"a part of its name is longer than {LONGEST} bytes"


def check_weights(directory: OverrideDirectory) -> None:
    """Raise InvalidArgument for an ONNX file whose weights are to be read from elsewhere, whatever it is called."""
    for path in sorted(path for path in directory.path.rglob("*") if path.is_file() and path.stat().st_size):
        with path.open("rb") as file:
            needs = check(Window(file.fileno(), path.stat().st_size)).needs
        for location in needs:
            if not names.stays_inside(location) or not (path.parent / location).is_file():
                name = path.relative_to(directory.path)
                raise InvalidArgument(
                    f"invalid file override 'file:{name}': it needs {location!a}, which is not among the given files"
                )


def check_backends(reading: ModelReading) -> None:
    """Raise InvalidArgument where a backend would run code of the files of a model."""
    for number, resolved in reading.versions.items():
        if isinstance(resolved, Resolved) and resolved.config.backend not in DATA_BACKENDS:
            raise InvalidArgument(
                f"invalid file override: version {number} is for the backend '{resolved.config.backend}', which may "
                f"run code of its files, {_CODE}; expected one of {', '.join(sorted(DATA_BACKENDS))}"
            )


def with_config(model: ModelSnapshot, config: str) -> ModelSnapshot:
    """The model with a given config, if there is one, in place of its own; raises InvalidArgument."""
    if not config:
        return model
    text = text_format.MessageToString(given_config.parse(config), as_one_line=True).encode()
    return replace(model, config=text, config_path=_PLACE, config_stat=None)


def kept_in(directory: OverrideDirectory, candidate: Candidate) -> Candidate:
    """The candidate that was read from a directory of given files, which stays while versions are loaded from it.

    No two directories hold the same content: what was given is loaded whenever it is given.
    """
    wanted = {number: _held(wish, directory) for number, wish in candidate.wanted.items()}
    return candidate._replace(wanted=wanted, problem=directory.hide(candidate.problem))


def _held(wish: Wish, directory: OverrideDirectory) -> Wish:
    load, identity = wish.load, f"{wish.identity} given {directory.serial}"
    if isinstance(load, str):
        return wish._replace(identity=identity, load=directory.hide(load))

    def held(progress: Progress) -> Loaded:
        directory.enter()
        try:
            loaded = load(progress)
        except (NaiadError, OSError) as error:
            directory.leave()
            raise InvalidArgument(directory.hide(str(error))) from error
        except BaseException:
            directory.leave()
            raise

        def closed() -> None:
            loaded.closed()
            directory.leave()

        return loaded._replace(closed=closed)

    return wish._replace(identity=identity, load=held)
