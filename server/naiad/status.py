"""`naiad status`: asks a running server how its models stand, and shows it. Knows nothing of a server but its wire."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import grpc
from google.protobuf import json_format
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from naiad.protocol import admin_pb2 as pb

METHOD = "/naiad.v1.Admin/Status"
PATIENCE = 5.0
"""Seconds that an answer may take."""
EVERY = 1.0
"""Seconds between two looks."""
_COLORS = {"ready": "green", "failed": "red", "loading": "cyan", "warming": "cyan", "waiting": "yellow"}


class Unreachable(Exception):
    """The server cannot be asked; the text says why."""


class Target(NamedTuple):
    """Which server to ask, HOST:PORT or unix:PATH. authority: a PEM file, for TLS; None for plain text."""

    address: str
    authority: Path | None = None

    def open(self) -> grpc.Channel:
        options = [("grpc.max_receive_message_length", -1)]
        if self.authority is None:
            return grpc.insecure_channel(self.address, options)
        try:
            pem = self.authority.read_bytes()
        except OSError as error:
            raise Unreachable(f"--tls-root-cert: {self.authority} cannot be read: {error.strerror}") from error
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(pem), options)


def ask(channel: grpc.Channel, address: str, models: Sequence[str]) -> pb.StatusResponse:
    """Ask once; raises Unreachable."""
    call = channel.unary_unary(METHOD, pb.StatusRequest.SerializeToString, pb.StatusResponse.FromString)
    try:
        response: pb.StatusResponse = call(pb.StatusRequest(models=models), timeout=PATIENCE)
    except grpc.RpcError as error:
        raise Unreachable(_why(error, address)) from None
    return response


def _why(error: grpc.RpcError, address: str) -> str:
    code = error.code()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"the server at {address} has no {METHOD}: it is no Naiad, or an older one"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the server at {address} did not answer within {PATIENCE:g} s"
    return f"the server at {address} cannot be asked: {code.name}: {error.details()}"


def show(target: Target, models: Sequence[str], *, as_json: bool, watch: bool) -> None:
    """Print how a server stands, or go on showing it until the user ends that; raises Unreachable."""
    console = Console(highlight=False, soft_wrap=as_json)
    with target.open() as channel:
        if as_json:
            _show_json(console, channel, target.address, models, watch=watch)
            return
        if not watch:
            console.print(page(ask(channel, target.address, models), time.time()))
            return
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                live.update(page(ask(channel, target.address, models), time.time()), refresh=True)
                time.sleep(EVERY)


def _show_json(console: Console, channel: grpc.Channel, address: str, models: Sequence[str], *, watch: bool) -> None:
    while True:
        said = json_format.MessageToDict(
            ask(channel, address, models), always_print_fields_with_no_presence=True, preserving_proto_field_name=True
        )
        console.out(json.dumps(said, indent=None if watch else 2))
        if not watch:
            return
        time.sleep(EVERY)


def page(response: pb.StatusResponse, now: float) -> Group:
    """The whole of a status. now: the time of day, in seconds since 1970."""
    server = response.server
    state = "ready" if server.ready else "not ready"
    head = f"{server.name} {server.version}, {state}, up {_span(server.uptime_seconds)}, {server.control_mode}"
    table = Table("Model", "Version", "State", "Since", "In flight", "Queued", "Swaps", "Reason")
    for column in table.columns[3:7]:
        column.justify = "right"
    for row in rows(response, now):
        table.add_row(*row)
    return Group(Text(head), table)


def rows(response: pb.StatusResponse, now: float) -> Iterator[tuple[Text, ...]]:
    """A line for each version, and one for what is to take its place."""
    for model in response.models:
        if not model.versions:
            state = "failed" if model.problem else ""
            yield _row(model.name, "", state, "", "", "", str(model.swaps), model.problem)
        for version in model.versions:
            yield _row(
                model.name,
                str(version.version),
                version.state,
                _ago(version.since, now),
                str(version.in_flight),
                f"{version.queued}/{version.queue_limit}" if version.queue_limit else "",
                str(model.swaps),
                _reason([version.reason, model.problem if version.state == "ready" else ""], version.retry_at),
            )
            if version.HasField("coming"):
                coming = version.coming
                reason = _reason([coming.reason], coming.retry_at)
                yield _row("", "", f"+ {coming.state}", _ago(coming.since, now), "", "", "", reason)


def _row(*cells: str) -> tuple[Text, ...]:
    style = _COLORS.get(cells[2].removeprefix("+ "), "")
    return tuple(Text(_printable(cell), style=style if i == 2 else "") for i, cell in enumerate(cells))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _reason(parts: Iterable[str], retry_at: int) -> str:
    text = "; ".join(filter(None, parts))
    if not retry_at:
        return text
    return f"{text} (tried again at {datetime.fromtimestamp(retry_at / 1000, UTC):%H:%M:%S}Z)"


def _ago(since_ms: int, now: float) -> str:
    return _span(max(0.0, now - since_ms / 1000)) if since_ms else ""


def _span(seconds: float) -> str:
    """A span of time in its two largest units."""
    whole = int(seconds)
    for size, unit, small, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // small} {name}"
    return f"{whole} s"
