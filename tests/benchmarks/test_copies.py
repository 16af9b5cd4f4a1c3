"""Who copies is read from a profile of DHAT's, and what it counts is what was copied."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import copies, install_valgrind
from tests.tools.debian import NotHereError

MEMMOVE = "0x484ADBD: memmove (in /usr/libexec/valgrind/vgpreload_dhat-amd64-linux.so)"
CYGRPC = "0xF9B53F3: ??? (in /venv/lib/grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so)"
JOIN = "0x49A0746: stringlib_bytes_join (join.h:128)"
STRIPPED_JOIN = "0x49A0746: ??? (in /usr/lib/libpython3.11.so.1.0)"
EVAL = "0x4953FF6: _PyEval_EvalFrameDefault (ceval.c:5221)"
RUST = "0x117E463C: naiad_native::framing::Deframer::next (in /venv/naiad/_native.abi3.so)"


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([MEMMOVE, RUST, EVAL], "naiad_native::framing::Deframer::next"),
        ([MEMMOVE, CYGRPC, EVAL], "cygrpc"),
        ([MEMMOVE, JOIN, CYGRPC, EVAL], "stringlib_bytes_join for cygrpc"),
        ([MEMMOVE, JOIN, EVAL, CYGRPC], "stringlib_bytes_join for Python code"),
        ([MEMMOVE, STRIPPED_JOIN, CYGRPC], "Python for cygrpc"),
        ([MEMMOVE, JOIN], "stringlib_bytes_join for Python code"),
        ([MEMMOVE], "unknown"),
    ],
)
def test_a_place_is_who_calls_memcpy_and_for_whom(frames: list[str], expected: str) -> None:
    assert copies.place(frames) == expected


def test_bytes_of_one_place_are_added_up() -> None:
    points = [{"tb": 10, "fs": [0, 1]}, {"tb": 5, "fs": [0, 1, 2]}, {"tb": 7, "fs": [0, 2]}]
    assert copies.places({"ftbl": [MEMMOVE, RUST, CYGRPC], "pps": points}) == {
        "naiad_native::framing::Deframer::next": 15,
        "cygrpc": 7,
    }


def test_what_is_counted_is_what_a_program_copies(tmp_path: Path) -> None:
    try:
        valgrind = install_valgrind.found()
    except NotHereError as missing:
        pytest.skip(str(missing))

    def copied(program: str) -> int:
        profile = tmp_path / "profile"
        command = [valgrind, *copies.DHAT, f"--dhat-out-file={profile}", sys.executable, "-S", "-c", program]
        subprocess.run(command, check=True, capture_output=True, timeout=50)
        return copies.places(json.loads(profile.read_text())).total()

    begin = "half = bytes(5_000_000)"
    extra = copied(f"{begin}; b''.join((half, half))") - copied(begin)
    assert extra == pytest.approx(10_000_000, rel=0.01)
