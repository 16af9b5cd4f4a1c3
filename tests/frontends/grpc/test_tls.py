"""Transports over TLS: whom they serve, whom they refuse, and files that are replaced while they serve."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from queue import Empty
from types import TracebackType
from typing import Self

import grpc
import pytest

from naiad.frontends.grpc.transport import OK, Kind, Reply, Tls, TransportSettings
from tests.certificates import EXPIRED, Authority, Pair, write
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import PATIENCE, TRANSPORTS, Wire, begin

AUTHORITY, STRANGER = Authority(), Authority()
SERVER = AUTHORITY.issue()
LOOK_SECS = 0.02
REFUSED_VERSION = {
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "UNEXPECTED_EOF_WHILE_READING",
}
"""What a client sees of a server that does not speak its version, and says so or just closes."""


@pytest.fixture(params=sorted(TRANSPORTS))
def make(request: pytest.FixtureRequest) -> Make:
    return TRANSPORTS[request.param]


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return write(tmp_path, SERVER)


@pytest.fixture
def mutual(tmp_path: Path) -> Tls:
    return write(tmp_path, SERVER, AUTHORITY)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files looked at often."""
    monkeypatch.setattr("naiad.frontends.grpc.tls.LOOK_SECS", LOOK_SECS)


def secured(tls: Tls) -> TransportSettings:
    return TransportSettings(port=0, tls=tls)


def channel(wire: Wire, authority: bytes = AUTHORITY.pem, client: Pair | None = None) -> grpc.Channel:
    certificate, key = client or (None, None)
    return grpc.secure_channel(f"127.0.0.1:{wire.port}", grpc.ssl_channel_credentials(authority, key, certificate))


def served(wire: Wire, authority: bytes = AUTHORITY.pem, client: Pair | None = None) -> bytes | None:
    """Have one call of a new connection answered; gives the certificate that the server knows its client by."""
    with channel(wire, authority, client) as opened:
        answer = begin(opened, b"question", wait_for_ready=True, timeout=PATIENCE)
        event = wire.next(Kind.MESSAGE)
        certificate = event.call.certificate
        assert certificate == event.call.certificate
        wire.reply(event, b"answer")
        assert answer.result(PATIENCE) == b"answer"
        return certificate


def refused(wire: Wire, opened: grpc.Channel) -> str:
    """Have one call fail for want of a connection; gives grpc's text."""
    with opened:
        answer = begin(opened, b"question", timeout=PATIENCE)
        assert answer.exception(PATIENCE) is not None
        assert answer.code() is grpc.StatusCode.UNAVAILABLE
        assert wire.quiet(0)
        return str(answer.details())


def in_der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


def context(*versions: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that trusts everybody; of these versions of TLS only, if there are any."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["h2"])
    for version in versions:
        made.minimum_version = made.maximum_version = version
    return made


def shake_hands(wire: Wire, client: ssl.SSLContext) -> ssl.SSLSocket:
    with socket.create_connection(("127.0.0.1", wire.port), PATIENCE) as plain:
        return client.wrap_socket(plain)


def shown(wire: Wire) -> bytes:
    """The certificate that a new connection is shown."""
    with shake_hands(wire, context()) as connection:
        return connection.getpeercert(binary_form=True) or b""


# Whom a server serves.


def test_a_client_that_knows_the_authority_is_served_and_has_no_certificate(make: Make, tls: Tls) -> None:
    with Wire(make, secured(tls)) as wire:
        assert served(wire) is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_versions_of_tls_that_are_safe_are_spoken(make: Make, tls: Tls, version: ssl.TLSVersion) -> None:
    with Wire(make, secured(tls)) as wire, shake_hands(wire, context(version)) as connection:
        assert connection.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2"}.get(version, "TLSv1.3")
        assert connection.selected_alpn_protocol() == "h2"


def test_older_versions_of_tls_are_refused_by_the_server(make: Make, tls: Tls) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = context(ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with Wire(make, secured(tls)) as wire:
        with pytest.raises(ssl.SSLError) as caught:
            shake_hands(wire, old)
        assert caught.value.reason in REFUSED_VERSION
        assert served(wire) is None


def test_a_client_without_tls_is_refused(make: Make, tls: Tls) -> None:
    with Wire(make, secured(tls)) as wire:
        refused(wire, wire.connect())
        assert served(wire) is None


def test_a_connection_that_begins_no_handshake_is_closed(make: Make, tls: Tls) -> None:
    settings = TransportSettings(port=0, tls=tls, handshake_timeout=0.2)
    with Wire(make, settings) as wire, socket.create_connection(("127.0.0.1", wire.port), PATIENCE) as silent:
        assert silent.recv(1) == b""


def test_a_client_refuses_a_server_of_another_authority(make: Make, tls: Tls) -> None:
    with Wire(make, secured(tls)) as wire:
        assert "CERTIFICATE_VERIFY_FAILED" in refused(wire, channel(wire, STRANGER.pem))


def test_a_client_refuses_a_server_whose_certificate_has_expired(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Wire(make, secured(write(tmp_path, AUTHORITY.issue(valid=EXPIRED)))) as wire:
        assert "CERTIFICATE_VERIFY_FAILED" in refused(wire, channel(wire))
    assert "clients refuse it" in caplog.text


# Clients with certificates.


def test_a_client_with_a_certificate_is_served_and_known_by_it(make: Make, mutual: Tls) -> None:
    client = AUTHORITY.issue("client.test")
    with Wire(make, secured(mutual)) as wire:
        assert served(wire, client=client) == in_der(client)


@pytest.mark.parametrize(
    "client",
    [None, STRANGER.issue("client.test"), AUTHORITY.issue("client.test", valid=EXPIRED)],
    ids=["none", "of a stranger", "expired"],
)
def test_a_client_without_a_good_certificate_is_refused(make: Make, mutual: Tls, client: Pair | None) -> None:
    with Wire(make, secured(mutual)) as wire:
        refused(wire, channel(wire, client=client))
        assert served(wire, client=AUTHORITY.issue("client.test")) is not None


def test_a_certificate_that_nobody_asked_for_is_not_taken_for_verified(make: Make, tls: Tls) -> None:
    with Wire(make, secured(tls)) as wire:
        assert served(wire, client=STRANGER.issue("client.test")) is None


# Files that are replaced.


class Load:
    """Answers the calls of a wire, and makes them: on one connection that lasts, and on a new one for each."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._ending = threading.Event()
        self._news = threading.Condition()
        self._answered = {"one": 0, "many": 0}
        self._threads = [threading.Thread(target=run) for run in (self._ask_on_one, self._ask_on_many, self._answer)]
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def go_on(self, calls: int = 10) -> None:
        """Wait until either client has had some more answers."""
        with self._news:
            enough = {client: count + calls for client, count in self._answered.items()}
            assert self._news.wait_for(lambda: all(self._answered[each] >= enough[each] for each in enough), PATIENCE)

    def _ask_on_one(self) -> None:
        with channel(self._wire) as opened:
            while not self._ending.is_set():
                self._ask(opened, "one")

    def _ask_on_many(self) -> None:
        while not self._ending.is_set():
            with channel(self._wire) as opened:
                self._ask(opened, "many")

    def _ask(self, opened: grpc.Channel, client: str) -> None:
        answer = begin(opened, b"question", timeout=PATIENCE)
        if answer.exception(PATIENCE) is not None:
            self.failures.append(f"{client}: {answer.details()}")
        with self._news:
            self._answered[client] += 1
            self._news.notify_all()

    def _answer(self) -> None:
        while any(thread.is_alive() for thread in self._threads[:2]):
            with suppress(Empty):
                event = self._wire.events.get(timeout=0.1)
                self._wire.transport.send([Reply(event.call, (event.message,), OK)])


def until_shown(wire: Wire, pair: Pair) -> None:
    """Connect until the server shows a certificate."""
    end = time.monotonic() + PATIENCE
    while shown(wire) != in_der(pair):
        assert time.monotonic() < end, "the new certificate was never shown"


@pytest.mark.usefixtures("often")
def test_files_are_replaced_under_load_without_a_failure(make: Make, tls: Tls, tmp_path: Path) -> None:
    with Wire(make, secured(tls)) as wire:
        with Load(wire) as load:
            for pair in [AUTHORITY.issue() for _ in range(4)]:
                load.go_on()
                write(tmp_path, pair)
                until_shown(wire, pair)
            load.go_on()
        assert load.failures == []


@pytest.mark.usefixtures("often")
def test_new_connections_are_held_against_the_new_authority_and_open_ones_go_on(
    make: Make, mutual: Tls, tmp_path: Path
) -> None:
    old, new = AUTHORITY.issue("client.test"), STRANGER.issue("client.test")
    with Wire(make, secured(mutual)) as wire, channel(wire, client=old) as opened:
        first = begin(opened, b"question")
        wire.reply(wire.next(Kind.MESSAGE), b"answer")
        assert first.result(PATIENCE) == b"answer"
        write(tmp_path, SERVER, STRANGER)
        assert served(wire, client=new) == in_der(new)  # tries until it is let in
        refused(wire, channel(wire, client=old))
        second = begin(opened, b"question")
        wire.reply(wire.next(Kind.MESSAGE), b"answer")
        assert second.result(PATIENCE) == b"answer"


@pytest.mark.usefixtures("often")
def test_broken_new_files_are_told_and_the_old_ones_go_on(
    make: Make, tls: Tls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Wire(make, secured(tls)) as wire:
        tls.key.write_bytes(b"broken")
        end = time.monotonic() + PATIENCE
        while "those before them still are" not in caplog.text:
            assert served(wire) is None
            assert time.monotonic() < end, "the broken file was never told"
        assert f"{tls.key}: found no PEM" in caplog.text
        assert shown(wire) == in_der(SERVER)
        repaired = AUTHORITY.issue()
        write(tmp_path, repaired)
        until_shown(wire, repaired)


# Life.


def watchers() -> int:
    return [thread.name for thread in threading.enumerate()].count("naiad-tls")


def test_files_that_cannot_be_used_are_an_error_at_the_start_that_names_them(make: Make, tls: Tls) -> None:
    tls.certificate.unlink()
    with pytest.raises(ValueError, match=rf"{tls.certificate}: cannot be read: No such file or directory"):
        make(secured(tls)).start((), lambda _: None)
    assert watchers() == 0


def test_a_start_that_fails_for_its_address_leaves_no_watcher(make: Make, tls: Tls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = TransportSettings(port=taken.getsockname()[1], tls=tls)
        with pytest.raises(OSError, match="Address already in use"):
            make(settings).start((), lambda _: None)
    assert watchers() == 0


def test_the_watcher_ends_with_the_transport(make: Make, tls: Tls) -> None:
    with Wire(make, secured(tls)):
        assert watchers() == 1
    assert watchers() == 0
