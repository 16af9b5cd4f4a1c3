"""What is said of PEM files that a server cannot use, and how long it can use the others."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from naiad.frontends.grpc import pem
from tests.certificates import EXPIRED, IN_FUTURE, Authority, Pair

DAY = 86_400
AUTHORITY = Authority()
PAIR = AUTHORITY.issue()


def complaint(check: Callable[[bytes], None], content: bytes) -> str:
    with pytest.raises(ValueError, match=r"expected|cannot be read") as caught:
        check(content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "found no PEM"),
        (b"certificate", "found no PEM"),
        (PAIR.key, "found EC PRIVATE KEY"),
        (PAIR.certificate[:200], "found CERTIFICATE, expected PEM with whole blocks"),
        (PAIR.certificate + PAIR.certificate[:200], "found CERTIFICATE, CERTIFICATE, expected PEM with whole blocks"),
    ],
)
def test_a_file_without_certificates_is_told_by_what_is_in_it(content: bytes, told: str) -> None:
    assert complaint(pem.check_certificates, content).startswith(told)


@pytest.mark.parametrize("body", [b"????", b"AAAA", base64.b64encode(b"no certificate at all")])
def test_a_certificate_that_cannot_be_read_is_told_by_its_number(body: bytes) -> None:
    broken = b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"
    told = complaint(pem.check_certificates, PAIR.certificate + broken)
    assert told.startswith("certificate 2 of 2 cannot be read: ")


def test_certificates_may_stand_among_other_things() -> None:
    pem.check_certificates("von Größe\n".encode() + PAIR.key + PAIR.certificate + AUTHORITY.pem)
    pem.check_key(PAIR.certificate + PAIR.key)


@pytest.mark.parametrize(("content", "told"), [(b"", "no PEM"), (PAIR.certificate, "CERTIFICATE")])
def test_a_file_without_a_key_is_told_by_what_is_in_it(content: bytes, told: str) -> None:
    assert complaint(pem.check_key, content) == f"found {told}, expected PEM with a block BEGIN PRIVATE KEY"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_with_a_passphrase_is_refused_and_asks_nobody_for_it(form: PrivateFormat) -> None:
    key = load_pem_private_key(PAIR.key, None)
    encrypted = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"passphrase"))
    assert "expected one without passphrase" in complaint(pem.check_key, encrypted)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def in_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("generate", [ec_key, lambda: rsa.generate_private_key(65537, 2048)], ids=["ec", "rsa"])
def test_a_key_of_another_certificate_is_told_as_such(generate: Callable[[], ec.EllipticCurvePrivateKey]) -> None:
    other = in_pem(generate())
    pem.check_key(other)
    with pytest.raises(ValueError, match="the key does not belong to the certificate"):
        pem.validity(PAIR.certificate, other)


def test_a_key_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ValueError, match="PEM lib"):
        pem.validity(PAIR.certificate, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def test_a_certificate_for_another_purpose_is_one_that_clients_refuse() -> None:
    key, name = ec_key(), x509.Name([])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    certificate = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    with pytest.raises(ValueError, match=r"clients would refuse the certificate: unsuit.* purpose"):
        pem.validity(certificate, in_pem(key))


def test_the_time_of_a_certificate_is_told_whenever_it_is_asked() -> None:
    now = time.time()
    current, expired, early = (pem.validity(*each) for each in pairs())
    assert now - 2 * DAY < current.begin < now < current.end < now + 2 * DAY
    assert current.complaint(now) == ""
    assert expired.complaint(now) == f"has expired, at {pem.moment(expired.end)}"
    assert early.complaint(now) == f"is not valid before {pem.moment(early.begin)}"
    assert pem.moment(0) == "1970-01-01T00:00:00Z"


def pairs() -> list[Pair]:
    return [PAIR, AUTHORITY.issue(valid=EXPIRED), AUTHORITY.issue(valid=IN_FUTURE)]
