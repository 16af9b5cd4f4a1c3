"""How the process ends."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("name", "code"), [("naiad-http", 1), ("a-librarys-own", 0)])
def test_a_server_does_not_outlive_one_of_its_threads(name: str, code: int) -> None:
    program = (
        "import threading; from naiad import ending; threading.excepthook = ending.thread_ended; "
        f"thread = threading.Thread(target=lambda: 1 / 0, name={name!r}); thread.start(); thread.join()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == code
    assert "ZeroDivisionError" in done.stderr
    assert (f"the thread {name} ended by an error" in done.stderr) is (code == 1)
