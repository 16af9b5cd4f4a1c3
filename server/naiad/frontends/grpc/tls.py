"""The files of a TLS server: read and checked at the start, and watched while it serves.

Whoever renews certificates replaces the files, in place or by a link (as Kubernetes does), certificate and key one
after the other. So contents are compared, not times or names, every few seconds. New contents that can be used are
handed on at once, for the connections that come from then on. With others the server goes on as before; what is wrong
is told once, when they stand there for a second look: a first one may have come between two files.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from naiad.frontends.grpc import pem
from naiad.frontends.grpc.transport import Tls

LOOK_SECS = 5.0
"""Seconds between two looks at the files."""
LARGEST = 2**20
"""Bytes of a file; a chain of certificates has some thousand, a system's list of all authorities 250 thousand."""

Judge = Callable[[bytes], None]
"""Raises ValueError for a content that cannot be used."""

log = logging.getLogger(__name__)


class BadFile(ValueError):
    """A file cannot be used; the text begins with its path, which is also `path`."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class Material(NamedTuple):
    """What the files hold: PEM."""

    certificate: bytes
    key: bytes
    client_authority: bytes | None


def read(tls: Tls) -> Material:
    """Read the files, whatever is in them; raises BadFile."""
    authority = tls.client_authority
    return Material(_content(tls.certificate), _content(tls.key), None if authority is None else _content(authority))


def check(tls: Tls, material: Material) -> pem.Validity:
    """Tell when the certificate is valid; raises BadFile for the file that cannot be used."""
    contents = [content for content in material if content is not None]
    for (path, judge), content in zip(_files(tls), contents, strict=True):
        _judge(path, judge, content)
    try:
        return pem.validity(material.certificate, material.key)
    except ValueError as error:
        raise BadFile(tls.key, f"cannot be used with {tls.certificate}: {error}") from None


def problems(tls: Tls) -> list[BadFile]:
    """Everything that is wrong with the files, one for each at most."""
    found = []
    for path, judge in _files(tls):
        try:
            _judge(path, judge, _content(path))
        except BadFile as error:
            found.append(error)
    return found or _mismatch(tls)


def _mismatch(tls: Tls) -> list[BadFile]:
    try:
        check(tls, read(tls))
    except BadFile as error:
        return [error]
    return []


def _files(tls: Tls) -> list[tuple[Path, Judge]]:
    """The files in the order of Material, each with what judges its content."""
    files: list[tuple[Path, Judge]] = [(tls.certificate, pem.check_certificates), (tls.key, pem.check_key)]
    return files if tls.client_authority is None else [*files, (tls.client_authority, pem.check_certificates)]


def _judge(path: Path, judge: Judge, content: bytes) -> None:
    try:
        judge(content)
    except ValueError as error:
        raise BadFile(path, str(error)) from None


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise BadFile(path, "is no regular file, expected one in PEM")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}, expected a file in PEM") from None
    if len(content) > LARGEST:
        raise BadFile(path, f"has more than {LARGEST} bytes, expected a file in PEM")
    return content


class CertificateFiles:
    """Hands the files' contents to `use`, at the start and whenever they have changed: `start` and `stop`, both once.

    use: may raise ValueError for what it cannot take; it then goes on with what it took before. interval: seconds
    between two looks, LOOK_SECS unless told.
    """

    def __init__(self, tls: Tls, use: Callable[[Material], None], interval: float | None = None) -> None:
        self._tls = tls
        self._use = use
        self._interval = LOOK_SECS if interval is None else interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="naiad-tls", daemon=True)
        self._told: Material | str | None = None
        self._complaint = ""

    def start(self) -> None:
        """Use what is there, and watch; ValueError says what cannot be used."""
        material = read(self._tls)
        self._take(material)
        self._used: Material | str = material
        self._seen: Material | str = material
        self._complain()
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            self._look()
            self._complain()

    def _look(self) -> None:
        found = self._found()
        settled, self._seen = found == self._seen, found
        if found == self._used:
            self._told = None
        elif found != self._told:
            self._change(found, settled)

    def _change(self, found: Material | str, settled: bool) -> None:
        problem = self._problem(found)
        if not problem:
            self._used = found
            where, until = self._tls.certificate, pem.moment(self._validity.end)
            log.info("%s: the TLS certificate was replaced, the new one is valid until %s", where, until)
        elif settled:
            self._told = found
            log.warning("the TLS files were changed and are not used, those before them still are: %s", problem)

    def _problem(self, found: Material | str) -> str:
        """Use what the files hold; gives why that cannot be."""
        if isinstance(found, str):
            return found
        try:
            self._take(found)
        except ValueError as error:
            return str(error)
        return ""

    def _take(self, material: Material) -> None:
        validity = check(self._tls, material)
        try:
            self._use(material)
        except ValueError as error:
            raise BadFile(self._tls.key, f"cannot be used with {self._tls.certificate}: {error}") from None
        self._validity = validity

    def _found(self) -> Material | str:
        """What the files hold, or why they cannot be read."""
        try:
            return read(self._tls)
        except BadFile as error:
            return str(error)

    def _complain(self) -> None:
        """Warn, once, of a certificate that clients refuse for its time."""
        complaint = self._validity.complaint(time.time())
        if complaint and complaint != self._complaint:
            log.warning("%s: the TLS certificate %s: clients refuse it", self._tls.certificate, complaint)
        self._complaint = complaint
