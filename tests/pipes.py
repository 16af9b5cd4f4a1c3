"""A pipe whose reader has stopped to read, and may go on."""

import fcntl
import os
from threading import Thread
from types import TracebackType
from typing import Self

FILLING = b"."


class Pipe:
    """Both ends are closed at the end of a `with`, or before."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.reader = os.fdopen(reader, "rb", buffering=0)
        self.writer = os.fdopen(writer, "wb", buffering=0)
        self._data = bytearray()
        self._thread = Thread(target=self._read)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()
        if self._thread.ident is not None:
            self._thread.join()
        self.reader.close()

    def fill(self) -> None:
        """Write until it takes no more; afterwards writing to it blocks, as before."""
        descriptor = self.writer.fileno()
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        os.set_blocking(descriptor, False)
        for size in (4096, 1):
            try:
                while os.write(descriptor, FILLING * size):
                    pass
            except BlockingIOError:
                continue
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)

    def read_on(self) -> None:
        """Read from now on, on a thread of its own."""
        self._thread.start()

    def rest(self) -> str:
        """Close the writer's end here; return what was written and read, without the filling, once all ends closed."""
        self.writer.close()
        self._thread.join()
        return bytes(self._data).lstrip(FILLING).decode()

    def _read(self) -> None:
        while data := self.reader.read(1 << 16):
            self._data += data
