"""Hears from the system which models' directories change, where the file system tells it.

What is heard only says where to look, and looking now and then at everything finds the rest: file systems of other
machines tell nothing, and neither do directories that links lead to from elsewhere.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from threading import Event, Thread

import watchfiles

from naiad.repository.names import is_leftover

log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of each batch of changes

DEBOUNCE_MS = 200
STEP_MS = 100
"""Changes are told when none came for a step, and after the debounce at the latest."""

Changed = Callable[[Collection[str] | None], None]
"""Hears the names of models whose files changed, None for any; never blocks."""


class Watcher:
    """`start` and `stop` once each. again_secs: how often it is tried anew where directories cannot be watched."""

    def __init__(self, roots: Sequence[Path], changed: Changed, again_secs: float) -> None:
        self._roots = [os.path.abspath(root) for root in roots]  # noqa: PTH100 - a link keeps its own name
        self._changed = changed
        self._again_ms = max(1, int(again_secs * 1000))
        self._stopping = Event()
        self._told = ""
        self._thread = Thread(target=self._work, name="naiad-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            watched = self._places()
            try:
                self._listen([root for root, place in watched.items() if place], watched)
            except Exception as error:  # noqa: BLE001 - whatever the system refuses, looking at everything goes on
                self._tell(f"changes in {', '.join(self._roots)} are not heard of, but found now and then: {error}")
                self._stopping.wait(self._again_ms / 1000)

    def _listen(self, roots: Sequence[str], watched: dict[str, tuple[int, int] | None]) -> None:
        """Tell what changes until directories of repositories are others than those that are watched."""
        if not roots:
            raise OSError("there is no such directory")
        for changes in watchfiles.watch(
            *roots,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=self._stopping,
            rust_timeout=self._again_ms,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=False,
            ignore_permission_denied=True,
        ):
            self._told = ""
            if changes:
                self._changed(self._models(path for _, path in changes))
            if self._places() != watched:
                self._changed(None)
                return

    def _places(self) -> dict[str, tuple[int, int] | None]:
        """Which directory each repository is now."""
        return {root: _place(root) for root in self._roots}

    def _models(self, paths: Iterable[str]) -> Collection[str] | None:
        """The models that paths are in; None where that cannot be told."""
        names = set()
        for path in paths:
            root = next((root for root in self._roots if path.startswith(root + os.sep)), None)
            if root is None:
                return None
            first = path[len(root) + 1 :].partition(os.sep)[0]
            if is_leftover(first):
                return None
            names |= {first, Path(root).name}
        return names

    def _tell(self, text: str) -> None:
        """Log once until it is something else."""
        if text != self._told:
            self._told = text
            advice = "; fs.inotify.max_user_watches may be too small" if "watch" in text or "space" in text else ""
            log.warning("%s%s", text, advice)


def _place(root: str) -> tuple[int, int] | None:
    try:
        stat = Path(root).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_dev
