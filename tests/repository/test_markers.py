"""Whoever writes a model can say so, and is believed only as far as that can be so."""

import json
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.repository.markers import PATIENCE_NS, Publisher, date, has_ended, publisher
from naiad.repository.snapshot import FileStat, Marker

WRITTEN = 1_800_000_000 * 10**9


def said(content: object, written: int = WRITTEN, first_seen: int = WRITTEN) -> Publisher:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return publisher(Marker(FileStat(len(text), written, 1, written, 1), text), first_seen)


def test_a_marker_says_who_writes_and_until_when() -> None:
    found = said({"pid": 17, "host": "a", "time": 1, "expires": 1_900_000_000.5, "more": []})
    assert found == Publisher(17, "a", 1_900_000_000 * 10**9)


UNKNOWN = Publisher(0, "", WRITTEN + PATIENCE_NS)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"{", b"[" * 4000, b"9" * 5000, [], 7, "text", None, {}, {"pid": "17", "host": 3},
     {"pid": True}, {"pid": 0}, {"pid": -1}, {"pid": 2**40}, {"expires": "soon"}, {"expires": True},
     b'{"expires": NaN}'],
)  # fmt: skip
def test_a_marker_that_says_something_else_holds_back_for_a_while(content: object) -> None:
    assert said(content) == UNKNOWN


def test_a_marker_from_the_future_holds_back_from_when_it_was_seen() -> None:
    assert said(b"", written=WRITTEN + 10**18) == UNKNOWN


@pytest.mark.parametrize(
    ("expires", "shown"),
    [("-5", "1970-01-01 00:00:00Z"), ("Infinity", "9999-12-31 23:59:59Z"), ("1e300", "9999-12-31 23:59:59Z"),
     ("9" * 400, "9999-12-31 23:59:59Z"), ("0", "1970-01-01 00:00:00Z"), ("1800000000", "2027-01-15 08:00:00Z")],
)  # fmt: skip
def test_an_expiry_is_a_time_that_can_be_told(expires: str, shown: str) -> None:
    assert date(said(f'{{"expires": {expires}}}'.encode()).expires_ns) == shown


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pid", "host", "expires"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_marker_is_too_odd_to_be_read(content: bytes) -> None:
    assert date(said(content).expires_ns)


def test_a_process_of_this_host_that_has_ended_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here = socket.gethostname()
    try:
        assert not has_ended(Publisher(process.pid, here, 0))
    finally:
        process.communicate(b"\n")
    assert has_ended(Publisher(process.pid, here, 0))
    assert not has_ended(Publisher(process.pid, f"not-{here}", 0))


def test_a_process_that_may_run_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(_: int, __: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    assert not has_ended(Publisher(0, socket.gethostname(), 0))
    monkeypatch.setattr(os, "kill", forbid)
    assert not has_ended(Publisher(1, socket.gethostname(), 0))
