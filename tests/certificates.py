"""Certificates to test with: an authority, what it signs, and files of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme

from naiad.frontends.grpc.transport import Tls

SERVER = ("127.0.0.1", "localhost")
"""What the certificates of servers are for."""


class Pair(NamedTuple):
    """A certificate with those between it and its authority, and its key; in PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Who signs certificates. pem: its own, which those who trust it have."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.pem = self._authority.cert_pem.bytes()

    def issue(self, *names: str, valid: tuple[timedelta, timedelta] | None = None) -> Pair:
        """Sign a new pair, for SERVER where there are no names. valid: from when until when, from now on."""
        begin, end = valid or (timedelta(days=-1), timedelta(days=1))
        now = datetime.now(UTC)
        made = self._authority.issue_cert(*(names or SERVER), not_before=now + begin, not_after=now + end)
        chain = b"".join(part.bytes() for part in made.cert_chain_pems)
        return Pair(chain, made.private_key_pem.bytes())


EXPIRED = (timedelta(days=-2), timedelta(days=-1))
IN_FUTURE = (timedelta(days=1), timedelta(days=2))


def write(directory: Path, pair: Pair, authority: Authority | None = None) -> Tls:
    """Write the files of a server, over those that are there. authority: of its clients."""
    directory.mkdir(exist_ok=True)
    files = {"tls.crt": pair.certificate, "tls.key": pair.key}
    if authority is not None:
        files["ca.crt"] = authority.pem
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return Tls(directory / "tls.crt", directory / "tls.key", directory / "ca.crt" if authority is not None else None)
