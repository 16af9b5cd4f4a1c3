"""The client of spread and of large loads speaks HTTP/2 as another implementation's server understands it."""

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, SettingsAcknowledged, StreamEnded
from h2.settings import SettingCodes, Settings

from benchmarks import http2
from benchmarks.http2 import OUR_MAX_FRAME, WIDEST, Connection, framed

METHOD, AUTHORITY = "/package.Service/Method", "127.0.0.1:8001"
LARGE = framed(bytes(range(256)) * 2000)
ANSWER = framed(b"answer")


class Served:
    """Our connection, and the server of h2 that it talks to; `events` is what that has seen."""

    def __init__(self, settings: dict[SettingCodes, int] | None = None) -> None:
        self.ours = Connection(METHOD, AUTHORITY)
        self.theirs = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.theirs.local_settings = Settings(client=False, initial_values=settings)
        self.theirs.max_inbound_frame_size = self.theirs.local_settings.max_frame_size
        self.theirs.initiate_connection()
        self.events: list[Event] = []
        self.exchange()

    def exchange(self, piece: int = 2**20) -> None:
        """Hand over what each side has to say, ours in whole, theirs in pieces, until neither has anything."""
        while self.ours.out or (said := self.theirs.data_to_send()):
            if self.ours.out:
                self.take(self.theirs.receive_data(b"".join(self.ours.out)))
                self.ours.out.clear()
            else:
                for at in range(0, len(said), piece):
                    self.ours.receive(said[at : at + piece])

    def take(self, events: list[Event]) -> None:
        """Read what came, so that windows open again."""
        self.events += events
        for event in events:
            if isinstance(event, DataReceived):
                self.theirs.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def body(self, stream: int) -> bytes:
        pieces = [event.data for event in self.events if isinstance(event, DataReceived) and event.stream_id == stream]
        return b"".join(pieces)

    def has_whole(self, stream: int) -> bool:
        return any(isinstance(event, StreamEnded) and event.stream_id == stream for event in self.events)

    def answer(self, stream: int, message: bytes = ANSWER, status: str = "0", piece: int = 2**20) -> None:
        """A message, if there is one, and the trailers."""
        begin = [(":status", "200"), ("content-type", "application/grpc")]
        trailers = [("grpc-status", status)]
        if message:
            self.theirs.send_headers(stream, begin)
            for at in range(0, len(message), OUR_MAX_FRAME):
                self.theirs.send_data(stream, message[at : at + OUR_MAX_FRAME])
            self.theirs.send_headers(stream, trailers, end_stream=True)
        else:
            self.theirs.send_headers(stream, begin + trailers, end_stream=True)
        self.exchange(piece)


@pytest.mark.parametrize(
    "settings",
    [{}, {SettingCodes.INITIAL_WINDOW_SIZE: 1000}, {SettingCodes.MAX_FRAME_SIZE: 2**20}],
    ids=["as they are", "small windows", "large frames"],
)
def test_a_message_arrives_as_it_was_within_the_windows_of_the_server(settings: dict[SettingCodes, int]) -> None:
    served = Served(settings)
    served.ours.request(LARGE)
    served.exchange()
    assert served.has_whole(1)
    assert served.body(1) == LARGE


def test_a_window_that_the_server_narrows_and_widens_meanwhile_is_kept_to() -> None:
    served = Served({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    served.ours.request(LARGE)
    for size in (10, 70_000):
        served.theirs.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        served.exchange()
    assert sum(isinstance(event, SettingsAcknowledged) for event in served.events) == 3
    assert served.body(1) == LARGE


def test_all_requests_have_the_same_headers_though_only_the_first_spells_them_out() -> None:
    served = Served()
    sizes = []
    for stream in (1, 3, 5):
        served.ours.request(ANSWER)
        sizes.append(len(served.ours.out[0]))
        served.exchange()
        served.answer(stream)
    begun = [event for event in served.events if isinstance(event, RequestReceived)]
    requests = [{str(name): str(value) for name, value in event.headers or ()} for event in begun]
    assert requests == [requests[0]] * 3
    assert requests[0] == {
        ":method": "POST",
        ":scheme": "http",
        ":path": METHOD,
        ":authority": AUTHORITY,
        "content-type": "application/grpc",
        "te": "trailers",
        "grpc-accept-encoding": "identity, deflate, gzip",
        "user-agent": "naiad-bench/1",
    }
    assert sizes[1] == sizes[2] < sizes[0] / 5


def test_headers_are_spelt_out_for_a_server_that_keeps_none() -> None:
    served = Served({SettingCodes.HEADER_TABLE_SIZE: 0})
    for stream in (1, 3):
        served.ours.request(ANSWER)
        served.exchange()
        served.answer(stream)
    assert [event.stream_id for event in served.events if isinstance(event, StreamEnded)] == [1, 3]


@pytest.mark.parametrize("piece", [1, 7, 2**20])
def test_a_call_ends_with_its_answer_however_the_bytes_come(piece: int) -> None:
    served = Served()
    for stream in (1, 3):
        served.ours.request(ANSWER)
        assert served.ours.busy
        served.exchange(piece)
        served.answer(stream, piece=piece)
        assert not served.ours.busy


def test_the_window_for_answers_is_opened_again_when_much_of_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "REFILLED_AT", 2**20)
    served = Served()
    windows = []
    for stream in (1, 3):
        served.ours.request(ANSWER)
        served.exchange()
        served.answer(stream, bytes(2**20), piece=2**16)
        windows.append(served.theirs.outbound_flow_control_window)
    assert windows[0] == WIDEST - 2**20
    assert windows[0] < windows[1] <= WIDEST


def test_a_ping_is_answered() -> None:
    served = Served()
    served.theirs.ping(b"12345678")
    served.exchange()
    assert [type(event).__name__ for event in served.events if "Ping" in type(event).__name__] == ["PingAckReceived"]


def test_a_call_that_ends_without_a_message_is_an_error() -> None:
    served = Served()
    served.ours.request(ANSWER)
    served.exchange()
    with pytest.raises(RuntimeError, match="stream 1 ended without a message"):
        served.answer(1, b"", status="5")


def test_a_call_that_the_server_resets_is_an_error() -> None:
    served = Served()
    served.ours.request(ANSWER)
    served.exchange()
    served.theirs.reset_stream(1)
    with pytest.raises(RuntimeError, match="the server reset the call of stream 1"):
        served.exchange()


def test_a_connection_that_the_server_ends_is_an_error() -> None:
    served = Served()
    served.theirs.close_connection()
    with pytest.raises(RuntimeError, match="the server ended the connection"):
        served.exchange()
