"""Loads and unloads models when clients ask for it (`--model-control-mode=explicit`).

One thread reads what is asked for from the disk, in the order in which it was asked, and tells the manager; the state
in the end is that of the last command. It waits for no load: a command is answered when the manager says how it ended.
What is given as files is written before that by another thread; a command that comes meanwhile outdates it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread

from naiad.core.engine import Done, Overrides
from naiad.core.errors import Internal, InvalidArgument, NaiadError, NotFound, Unavailable
from naiad.repository.answers import Answers
from naiad.repository.generations import Ended
from naiad.repository.manager import Manager
from naiad.repository.overrides import OverrideDirectory, check_files, check_name
from naiad.repository.survey import Survey
from naiad.repository.uploads import Uploads
from naiad.repository.wanted import Candidate

log = logging.getLogger(__name__)

UNLOADED = "unloaded"
OUTDATED = "Newer operation has been applied to the model lifecycle, current load operation is out-dated."


class Commands:
    """The engine's Commander; `start` and `stop` once each. code: whether files that may hold code are taken."""

    def __init__(self, survey: Survey, manager: Manager, *, code: bool) -> None:
        self._survey = survey
        self._manager = manager
        self._code = code
        self._answers = Answers()
        self._asked: SimpleQueue[tuple[Callable[[], None], Done] | None] = SimpleQueue()
        self._lock = Lock()
        self._writing: dict[str, Done] = {}
        self._stopping = False
        self._directories: dict[str, tuple[OverrideDirectory, ...]] = {}
        self._wanted: set[str] = set()
        self._unwanted: set[str] = set()
        self._uploads = Uploads()
        self._thread = Thread(target=self._work, name="naiad-commands", daemon=True)

    def start(self, first: Iterable[Candidate]) -> None:
        """first: what the manager was told at the start."""
        for candidate in first:
            (self._wanted if candidate.wanted or candidate.problem else self._unwanted).add(candidate.name)
        self._uploads.start()
        self._thread.start()

    def stop(self) -> None:
        """Carry out nothing any more; who still waits for that is told. Given files are removed."""
        self._stopping = True
        self._answers.close()
        self._uploads.stop()
        self._asked.put(None)
        self._thread.join()
        for directory in [each for directories in self._directories.values() for each in directories]:
            directory.remove()

    def load(self, name: str, overrides: Overrides, done: Done) -> None:
        """See Engine.load; raises what is wrong with the names, and Rejected when too many files wait."""
        check_name(name)
        check_files(overrides.files, code=self._code)
        done = self._answers.awaited(done)
        if not overrides.files:
            self._ask(name, partial(self._load, name, overrides.config, done), done)
            return
        with self._lock:
            self._writing[name] = done
        try:
            self._uploads.write(overrides.files, partial(self._written, name, overrides.config, done))
        except NaiadError as error:
            self._is_newest(name, done)
            done(error)

    def unload(self, name: str, done: Done) -> None:
        """See Engine.unload."""
        check_name(name)
        done = self._answers.awaited(done)
        self._ask(name, partial(self._unload, name, done), done)

    def look(self, done: Done) -> None:
        """See Engine.look."""
        done = self._answers.awaited(done)
        self._asked.put((partial(self._look, done), done))

    def _ask(self, name: str, command: Callable[[], None], done: Done) -> None:
        with self._lock:
            self._writing.pop(name, None)
            self._asked.put((command, done))

    def _is_newest(self, name: str, done: Done) -> bool:
        """Whether no command for a model has come since this one, whose files are written by now."""
        with self._lock:
            newest = self._writing.get(name) is done
            if newest:
                del self._writing[name]
            return newest

    def _written(self, name: str, config: str, done: Done, written: OverrideDirectory | NaiadError) -> None:
        """Hear from the thread that writes."""
        self._asked.put((partial(self._load_given, name, config, done, written), done))

    # The thread of commands.

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            _carry_out(*asked)
            del asked

    def _go_on(self) -> None:
        if self._stopping:
            raise Unavailable("Server exiting")

    def _look(self, done: Done) -> None:
        self._go_on()
        new, missing = self._survey.others(self._wanted | self._unwanted)
        gone = self._unwanted.intersection(missing)
        self._unwanted = (self._unwanted - gone) | {candidate.name for candidate in new}
        left = len(new) + len(gone)

        def ended(_: Ended) -> None:
            nonlocal left
            left -= 1
            if not left:
                self._tell(partial(done, None))

        if left:
            self._manager.want(new, gone=gone, told=ended)
        else:
            done(None)

    def _is_wanted(self, name: str) -> None:
        self._wanted.add(name)
        self._unwanted.discard(name)

    def _load(self, name: str, config: str, done: Done) -> None:
        self._go_on()
        try:
            candidate = self._survey.of(name, config)
        except NotFound as error:
            raise _unknown(name, str(error)) from None

        older = self._directories.get(name, ())

        def ended(end: Ended) -> None:
            error = _outcome(name, end, given=bool(config))
            done(error)
            if error is None:
                self._tell(partial(self._discard, name, older))

        self._is_wanted(name)
        self._manager.want([candidate], again=True, told=ended)

    def _load_given(self, name: str, config: str, done: Done, written: OverrideDirectory | NaiadError) -> None:
        newest = self._is_newest(name, done)
        if isinstance(written, NaiadError):
            raise written
        try:
            candidate = self._given(name, config, written, newest=newest)
        except BaseException:
            written.discard()
            raise
        older = self._directories.get(name, ())
        self._directories[name] = (*older, written)

        def ended(end: Ended) -> None:
            error = _outcome(name, end, given=True)
            done(error)
            self._tell(partial(self._discard, name, older) if error is None else partial(self._failed, name, written))

        self._is_wanted(name)
        self._manager.want([candidate], again=True, told=ended)

    def _given(self, name: str, config: str, directory: OverrideDirectory, *, newest: bool) -> Candidate:
        self._go_on()
        if not newest:
            raise _outdated(name)
        return self._survey.given(name, directory, config, code=self._code)

    def _failed(self, name: str, directory: OverrideDirectory) -> None:
        """Discard the files of a load that failed; forget a model of which there is nothing else."""
        self._discard(name, (directory,))
        if name not in self._directories and not self._survey.has(name):
            self._wanted.discard(name)
            self._manager.want((), gone=(name,))

    def _discard(self, name: str, unused: Sequence[OverrideDirectory]) -> None:
        """Discard directories from which nothing of a model is to be loaded any more."""
        for directory in unused:
            directory.discard()
        left = tuple(each for each in self._directories.get(name, ()) if each not in unused)
        if left:
            self._directories[name] = left
        else:
            self._directories.pop(name, None)

    def _unload(self, name: str, done: Done) -> None:
        self._go_on()

        older = self._directories.get(name, ())

        def ended(_: Ended) -> None:
            done(None)
            self._tell(partial(self._discard, name, older))

        self._wanted.discard(name)
        if self._survey.has(name):
            self._unwanted.add(name)
            self._manager.want([Candidate(name, {}, idle=UNLOADED)], told=ended)
        else:
            self._unwanted.discard(name)
            self._manager.want((), gone=(name,), told=ended)

    def _tell(self, task: Callable[[], None]) -> None:
        """Have something done on this thread."""
        self._asked.put((task, _nobody))


def _nobody(_: NaiadError | None) -> None:
    """Who waits for no answer."""


def _carry_out(command: Callable[[], None], done: Done) -> None:
    try:
        command()
    except NaiadError as error:
        done(error)
    except Exception as error:
        log.exception("a command of a client failed")
        done(Internal(f"unexpected {type(error).__name__} while reading the repository; the server's log has more"))


def _outdated(name: str) -> NaiadError:
    return InvalidArgument(f"load failed for model '{name}': {OUTDATED}")


def _unknown(name: str, why: str) -> NaiadError:
    return Internal(f"failed to load '{name}', failed to poll from model repository: {why}")


def _outcome(name: str, ended: Ended, *, given: bool) -> NaiadError | None:
    """How a load ended, as the client is told. given: its config was."""
    if ended.superseded:
        return _outdated(name)
    if ended.problem and given:
        return InvalidArgument(f"Invalid config override: {ended.problem}")
    if ended.problem:
        return _unknown(name, ended.problem)
    if ended.failures:
        failures = (f"version {n} is at UNAVAILABLE state: Internal: {reason};\n" for n, reason in ended.failures)
        return InvalidArgument(f"load failed for model '{name}': {''.join(failures)}")
    return None
