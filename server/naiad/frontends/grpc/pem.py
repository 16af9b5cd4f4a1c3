"""What stands in PEM files, as OpenSSL sees it: whether a server can show this certificate with this key, and when.

Pure: bytes in, and a key never goes to the disk. A ValueError says what was found and what was expected; whoever knows
the file adds its name.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CERTIFICATE, KEY = "CERTIFICATE", "PRIVATE KEY"

_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_OLD_ENCRYPTION = b"Proc-Type: 4,ENCRYPTED"
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which `ssl` has no name."""
_NOT_A_PAIR = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""How OpenSSL says that a key does not belong to a certificate which it has taken."""


class Validity(NamedTuple):
    """When a certificate is valid, in seconds of `time.time`."""

    begin: float
    end: float

    def complaint(self, now: float) -> str:
        """Why clients refuse the certificate at a time; empty where they do not."""
        if now < self.begin:
            return f"is not valid before {moment(self.begin)}"
        return f"has expired, at {moment(self.end)}" if now > self.end else ""


def moment(seconds: float) -> str:
    """A time as it is shown: to the second, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def check_certificates(pem: bytes) -> None:
    """Demand one certificate or more, each of which can be read."""
    blocks = _CERTIFICATE.findall(pem)
    if not blocks or len(blocks) != _labels(pem).count(CERTIFICATE):
        raise ValueError(f"{_found(pem)}, expected PEM with whole blocks BEGIN {CERTIFICATE}")
    for number, block in enumerate(blocks, 1):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=_text([block]))
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(f"certificate {number} of {len(blocks)} cannot be read: {_reason(error)}") from None


def check_key(pem: bytes) -> None:
    """Demand a private key that needs no passphrase."""
    labels = _labels(pem)
    if f"ENCRYPTED {KEY}" in labels or _OLD_ENCRYPTION in pem:
        raise ValueError("found an encrypted key, expected one without passphrase: `openssl pkey` can write it")
    if not any(label.endswith(KEY) for label in labels):
        raise ValueError(f"{_found(pem)}, expected PEM with a block BEGIN {KEY}")


def validity(certificates: bytes, key: bytes) -> Validity:
    """Try certificate and key, which were checked, with a client in memory; tell when the first one is valid."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=_text(_CERTIFICATE.findall(certificates)))
    client.verify_flags |= ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    try:
        with _as_file(certificates) as chain, _as_file(key) as private:
            server.load_cert_chain(chain, private, password="")
        return _shake_hands(client, server)
    except ssl.SSLCertVerificationError as error:
        raise ValueError(f"clients would refuse the certificate: {error.verify_message}") from None
    except OSError as error:
        raise ValueError(_reason(error)) from None


def _shake_hands(client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> Validity:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    shown = client.getpeercert() or {}
    begin, end = (ssl.cert_time_to_seconds(str(shown[name])) for name in ("notBefore", "notAfter"))
    return Validity(begin, end)


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path to bytes in memory, for what takes paths only."""
    with os.fdopen(os.memfd_create("naiad-pem"), "wb") as file:
        file.write(content)
        file.flush()
        yield str(Path("/proc/self/fd") / str(file.fileno()))


def _labels(pem: bytes) -> list[str]:
    return [label.decode() for label in _LABEL.findall(pem)]


def _found(pem: bytes) -> str:
    return f"found {', '.join(_labels(pem)) or 'no PEM'}"


def _text(blocks: list[bytes]) -> str:
    return b"\n".join(blocks).decode("ascii")


def _reason(error: Exception) -> str:
    """What OpenSSL says, without the place in its sources."""
    if isinstance(error, ssl.SSLError) and error.reason in _NOT_A_PAIR:
        return "the key does not belong to the certificate"
    return re.sub(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$", "", str(error.args[-1]))
