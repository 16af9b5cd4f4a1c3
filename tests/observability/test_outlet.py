"""The way out to a descriptor: in order, in bulk, and never at the expense of whoever puts something in."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from naiad.observability.outlet import Outlet, descriptor_of
from tests.pipes import Pipe

LIMIT = 1000
PATIENCE = 30.0


def join(lines: Sequence[bytes]) -> bytes:
    return b"".join(lines)


def tell(count: int) -> bytes:
    return b"lost %d\n" % count


def outlet(
    descriptor: int, render: Callable[[Sequence[bytes]], bytes] = join, limit: int = LIMIT, linger: float = 0.0
) -> Outlet[bytes]:
    return Outlet(descriptor, render, tell, thread="outlet-under-test", limit=limit, linger=linger)


def put(out: Outlet[bytes], *numbers: int) -> None:
    for number in numbers:
        out.put(b"%d\n" % number, 1)


def test_what_many_threads_put_is_all_written_each_thread_s_in_its_order() -> None:
    with Pipe() as pipe:
        out = outlet(pipe.writer.fileno(), limit=100_000)
        threads = [Thread(target=put, args=(out, *range(at, 40_000, 4))) for at in range(4)]
        for thread in threads:
            thread.start()
        pipe.read_on()
        for thread in threads:
            thread.join()
        assert out.close(PATIENCE) == 0
        written = [int(line) for line in pipe.rest().splitlines()]
    assert [[n for n in written if n % 4 == at] for at in range(4)] == [list(range(at, 40_000, 4)) for at in range(4)]
    assert out.lost == 0


def test_a_reader_who_has_stopped_holds_up_nobody_and_learns_what_was_lost_when_it_reads_on() -> None:
    with Pipe() as pipe:
        pipe.fill()
        out = outlet(pipe.writer.fileno())
        put(out, *range(5 * LIMIT))
        assert not out.flush(0)
        pipe.read_on()
        assert out.flush(PATIENCE)
        put(out, -1)
        assert out.close(PATIENCE) == 0
        *written, told, last = pipe.rest().splitlines()
    assert last == "-1"
    assert out.lost > 0
    assert told == f"lost {out.lost}"
    assert [int(line) for line in written] == list(range(5 * LIMIT - out.lost))


def test_what_is_put_while_something_is_written_leaves_in_one_write() -> None:
    begun, go_on = Event(), Event()

    def render(lines: Sequence[bytes]) -> bytes:
        begun.set()
        assert go_on.wait(PATIENCE)
        return join(lines)

    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with reader, writer:
        out = outlet(writer.fileno(), render)
        put(out, 0)
        assert begun.wait(PATIENCE)
        put(out, *range(1, 100))
        go_on.set()
        assert out.close(PATIENCE) == 0
        assert [reader.recv(4096) for _ in range(2)] == [b"0\n", b"".join(b"%d\n" % n for n in range(1, 100))]


def test_the_first_of_a_bulk_waits_for_others_until_somebody_is_in_a_hurry() -> None:
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with reader, writer:
        out = outlet(writer.fileno(), linger=3600.0)
        for number in range(3):
            put(out, number)
            assert select.select((reader,), (), (), 0.02) == ([], [], [])
        assert out.flush(PATIENCE)
        put(out, 3, 4)
        assert out.close(PATIENCE) == 0
        assert [reader.recv(4096) for _ in range(2)] == [b"0\n1\n2\n", b"3\n4\n"]


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    with Pipe() as pipe:
        pipe.fill()
        os.set_blocking(pipe.writer.fileno(), False)
        out = outlet(pipe.writer.fileno())
        put(out, 1, 2)
        assert not out.flush(0.05)
        pipe.read_on()
        assert out.close(PATIENCE) == 0
        assert pipe.rest() == "1\n2\n"
    assert out.lost == 0


def test_what_cannot_be_written_is_lost_and_nobody_hears_an_error() -> None:
    with Pipe() as pipe:
        pipe.reader.close()
        out = outlet(pipe.writer.fileno())
        for number in range(3):
            put(out, number)
            assert out.flush(PATIENCE)
        assert out.close(PATIENCE) == 0
    assert out.lost == 3


@contextmanager
def files_full_at(size: int) -> Iterator[None]:
    """Have this process write no file beyond this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_after_half_a_line_the_next_one_begins_on_a_new_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("ab") as opened:
        out = outlet(opened.fileno())
        with files_full_at(5):
            out.put(b"0123456789\n", 1)
            assert out.flush(PATIENCE)
        put(out, 1)
        assert out.close(PATIENCE) == 0
    assert file.read_text() == "01234\n1\nlost 1\n"


def test_two_outlets_to_one_file_do_not_split_each_other_s_lines() -> None:
    lines = [bytes([letter]) * 50_000 + b"\n" for letter in b"xy"]
    with Pipe() as pipe, os.fdopen(os.dup(pipe.writer.fileno()), "wb") as other:
        outlets = [outlet(end, limit=1 << 24) for end in (pipe.writer.fileno(), other.fileno())]
        for _ in range(40):
            for out, line in zip(outlets, lines, strict=True):
                out.put(line, 1)
        pipe.read_on()
        assert [out.close(PATIENCE) for out in outlets] == [0, 0]
        other.close()
        written = pipe.rest().splitlines()
    assert {line: written.count(line) for line in set(written)} == {line[:-1].decode(): 40 for line in lines}


def test_closing_says_how_much_a_reader_who_has_stopped_has_missed() -> None:
    with Pipe() as pipe:
        pipe.fill()
        out = outlet(pipe.writer.fileno())
        put(out, 1, 2, 3)
        assert out.close(0) == 3
        put(out, 4)
        assert out.lost == 1
        pipe.read_on()
        assert out.close(PATIENCE) == 0
        assert pipe.rest() == "1\n2\n3\nlost 1\n"


def test_a_stream_that_was_closed_at_the_start_leads_nowhere() -> None:
    nowhere = descriptor_of(None)
    try:
        assert os.fstat(nowhere).st_rdev == Path(os.devnull).stat().st_rdev
    finally:
        os.close(nowhere)
