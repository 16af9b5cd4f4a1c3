"""Where the asyncio transport listens: an address or a Unix socket, over TLS or not, as grpcio wants it told."""

from __future__ import annotations

import socket
from collections import deque
from urllib.parse import quote

import grpc

from naiad.frontends.grpc.tls import CertificateFiles, Material
from naiad.frontends.grpc.transport import Tls, TransportSettings
from naiad.frontends.grpc.unix import SocketFile, path_of


class Listening:
    """What a server holds while it listens: `begin` and `end`, both once."""

    def __init__(self, settings: TransportSettings) -> None:
        self._host, self._port = settings.host, settings.port
        self._path = path_of(settings.host)
        self._file = SocketFile(self._path) if self._path else None
        self._certificates = Certificates(settings.tls) if settings.tls else None

    def begin(self, server: grpc.aio.Server) -> int:
        """Have a server listen; gives the port, 0 for a Unix socket. OSError, ValueError: see `Transport.start`."""
        credentials = self._certificates.start() if self._certificates else None
        try:
            return self._bind(server, credentials)
        except OSError:
            self.end()
            raise

    def end(self) -> None:
        """Give back what is held, after the server has ended."""
        if self._certificates:
            self._certificates.stop()
        if self._file:
            self._file.remove()

    def _bind(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> int:
        try:
            if self._file:
                self._file.make_way()
            port = self._add(server, credentials)
            if self._file:
                self._file.claim()
        except OSError as error:
            raise _told(error, f"gRPC cannot listen on {self._shown()}") from None
        return 0 if self._file else port

    def _add(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> int:
        try:
            if credentials is None:
                return server.add_insecure_port(self._target())
            return server.add_secure_port(self._target(), credentials)
        except RuntimeError:
            raise self._refusal() from None

    def _target(self) -> str:
        if self._path:
            return f"unix:{quote(str(self._path))}"
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def _shown(self) -> str:
        return f"unix:{self._path}" if self._path else f"{self._host} port {self._port}"

    def _refusal(self) -> OSError:
        """Why grpcio could not listen: it does not say, so ask the system again."""
        try:
            if self._path:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.bind(str(self._path))
                self._path.unlink()
            else:
                self._probe()
        except OSError as error:
            return error
        return OSError("grpcio gave no reason")

    def _probe(self) -> None:
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()


def _told(error: OSError, where: str) -> OSError:
    """The same error with the place in its text."""
    if error.errno is None:
        return OSError(f"{where}: {error}")
    return OSError(error.errno, f"{where}: {error.strerror}")


class Certificates:
    """grpcio's view of the files: it asks, at each handshake and in threads of its own, whether there are new ones."""

    def __init__(self, tls: Tls) -> None:
        self._mutual = tls.client_authority is not None
        self._files = CertificateFiles(tls, self._use)
        self._new: deque[grpc.ServerCertificateConfiguration] = deque(maxlen=1)

    def start(self) -> grpc.ServerCredentials:
        """Read the files, and watch them; ValueError says what is wrong with them."""
        self._files.start()
        first = self._new.pop()
        # The stubs do not know that None stands for the one before.
        return grpc.dynamic_ssl_server_credentials(first, self._next, self._mutual)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._files.stop()

    def _use(self, material: Material) -> None:
        pair = (material.key, material.certificate)
        self._new.append(grpc.ssl_server_certificate_configuration([pair], material.client_authority))

    def _next(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            return self._new.pop()
        except IndexError:
            return None
