"""Version strings of requests: pure, the same for every wire; the texts are the protocol's."""

from __future__ import annotations

from naiad.core.errors import InvalidArgument

_LARGEST = 2**63 - 1


def parse_version(text: str) -> int | None:
    """Read a requested version: empty is None, "any". Raises InvalidArgument unless it is a decimal number >= 0."""
    if not text:
        return None
    digits = text.removeprefix("-")
    significant = digits.lstrip("0") or "0"
    if not (digits.isascii() and digits.isdigit()) or len(significant) > 19 or int(significant) > _LARGEST:
        raise InvalidArgument(
            f"failed to get model version from specified version string '{text}' (details: stol), "
            "version should be an integral value > 0"
        )
    if text.startswith("-"):
        raise InvalidArgument(f"invalid model version specified '{text}' , version should be an integral value > 0")
    return int(significant)
