"""What a misspelt name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SURE = 0.87
"""A likeness from which on it is a slip of the pen, and no other word."""


def closest(written: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of `names` that `written` resembles, or None; cutoff: the likeness that is enough, up to 1.

    A value without its prefix (`GPU`: KIND_GPU) resembles it, but not so much as to be SURE.
    """
    lower = {name.lower(): name for name in names}
    if written.lower() in lower:
        return lower[written.lower()]
    endings = [name for low, name in lower.items() if low.endswith("_" + written.lower())]
    if len(endings) == 1 and cutoff < SURE:
        return endings[0]
    close = get_close_matches(written.lower(), lower, n=1, cutoff=cutoff)
    return lower[close[0]] if close else None
