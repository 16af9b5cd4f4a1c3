"""What can be told of a file by its format, without reading most of it.

A file that is something else than its name says is not incomplete: whoever loads it says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Structure(NamedTuple):
    """What is wrong with a file as it is, as what follows its name in a sentence; empty where nothing is.

    needs: files beside it, by their paths relative to its directory, and how many bytes each has at least.
    """

    fault: str = ""
    needs: Mapping[str, int] = MappingProxyType({})


WHOLE = Structure()
EMPTY = Structure("is empty")


def is_zero(content: bytes) -> bool:
    """Whether a file that begins like that has space, and no content yet."""
    return bool(content) and not any(content)
