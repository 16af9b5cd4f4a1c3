"""What a misspelt name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(written: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `written` resembles, or None. A value without its prefix counts (`GPU`: KIND_GPU)."""
    lower = {name.lower(): name for name in names}
    if written.lower() in lower:
        return lower[written.lower()]
    endings = [name for low, name in lower.items() if low.endswith("_" + written.lower())]
    if len(endings) == 1:
        return endings[0]
    close = get_close_matches(written.lower(), lower, n=1, cutoff=0.6)
    return lower[close[0]] if close else None
