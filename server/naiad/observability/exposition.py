"""The text that Prometheus scrapes, format 0.0.4, written by ourselves.

prometheus_client cannot write the counters that dashboards for Triton ask for: it adds `_total` to their names, and a
query for the name without it finds nothing. Every sample here is a line of its own; labels are escaped once, by
`labels`, and reused for all lines of one version.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from naiad.core.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "histogram"]

_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Family(NamedTuple):
    """A metric: the name of its samples (of a histogram without `_bucket`, `_count` and `_sum`), and what it means."""

    name: str
    kind: Kind
    help: str

    def header(self) -> str:
        return f"# HELP {self.name} {self.help.translate(_HELP)}\n# TYPE {self.name} {self.kind}\n"

    def sample(self, labels: str, value: float) -> str:
        """One line; `labels` as `labels()` writes them."""
        return f"{self.name}{{{labels}}} {number(value)}\n" if labels else f"{self.name} {number(value)}\n"


Block = tuple[Family, Iterable[str]]
"""A family and its lines."""


def text(blocks: Iterable[Block]) -> str:
    """The whole of it; families without samples are left out."""
    parts: list[str] = []
    for family, lines in blocks:
        samples = "".join(lines)
        if samples:
            parts += (family.header(), samples)
    return "".join(parts)


def labels(pairs: Mapping[str, str]) -> str:
    """`a="1",b="2"`, in the order given. What UTF-8 cannot hold is written as an escape."""
    return ",".join(f'{name}="{_printable(value).translate(_LABEL)}"' for name, value in pairs.items())


def number(value: float) -> str:
    """A value as Prometheus reads it: whole numbers without a point, others so that they survive unchanged."""
    if isinstance(value, int):
        return f"{value:d}"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


class Buckets:
    """How a Histogram of integers becomes a family's buckets: in units of `unit` values, with bounds of its own.

    Its bounds are some of the histogram's: buckets between them are put together.
    """

    def __init__(self, family: Family, bounds: Sequence[int], unit: int) -> None:
        self.family = family
        self._bounds = tuple(bounds)
        self._unit = unit
        self._names = tuple(f'le="{number(bound / unit)}"}} ' for bound in bounds)

    def samples(self, labels: str, histogram: Histogram) -> str:
        """All lines of one series."""
        name = self.family.name
        opening = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
        counts = self._cumulative(histogram)
        total = sum(histogram.counts)
        braced = f"{{{labels}}}" if labels else ""
        lines = [f"{opening}{le}{count}\n" for le, count in zip(self._names, counts, strict=True)]
        lines.append(f'{opening}le="+Inf"}} {total}\n')
        lines.append(f"{name}_sum{braced} {number(histogram.total / self._unit)}\n")
        lines.append(f"{name}_count{braced} {total}\n")
        return "".join(lines)

    def _cumulative(self, histogram: Histogram) -> list[int]:
        """Values up to each bound."""
        up_to: dict[int, int] = {}
        seen = 0
        for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
            seen += count
            up_to[bound] = seen
        return [up_to[bound] for bound in self._bounds]


def _printable(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()
