"""When a call is over: one moment for all that it does, several RPCs included."""

from __future__ import annotations

import math
import time
from typing import NamedTuple, Self


class Deadline(NamedTuple):
    """`at` is in seconds of `time.monotonic`; infinite for none."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float | None:
        """Seconds that are left, at least 0; None where there is no limit."""
        return None if math.isinf(self.at) else max(0.0, self.at - time.monotonic())
