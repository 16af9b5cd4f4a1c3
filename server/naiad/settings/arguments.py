"""The command line: `--flag=value`, `--flag value`, and `--flag` alone for a boolean.

A flag may be shortened as long as it is clear which one is meant, as tritonserver allows; of several that begin the
same tritonserver's own are meant, so that a setting of ours makes none of its abbreviations ambiguous.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from naiad.settings.given import BadSettings, Flag, Flags, Given, Source, unknown


def from_arguments(arguments: Sequence[str], flags: Flags, own: Collection[str]) -> Source:
    """What a command line gives. own: names that tritonserver does not have."""
    rest = deque(arguments)
    found = Source.empty()
    while rest:
        try:
            found.given.append(_next(rest, flags, own))
        except BadSettings as error:
            found.mistakes.append(str(error))
    return found


def _next(rest: deque[str], flags: Flags, own: Collection[str]) -> Given:
    argument = rest.popleft()
    written, equals, value = argument.removeprefix("--").partition("=")
    if not argument.startswith("--") or not written:
        raise BadSettings(f"{argument!r}: expected a flag, such as --model-repository=DIRECTORY")
    try:
        flag = _find(written, flags, own)
    except BadSettings:
        if not equals and rest and not rest[0].startswith("-"):
            rest.popleft()
        raise
    return Given(flag, (value if equals else _separate(flag, rest),), f"--{flag.name}")


def _find(written: str, flags: Flags, own: Collection[str]) -> Flag:
    if written in flags:
        return flags[written]
    begun = [name for name in flags if name.startswith(written)]
    meant = begun if len(begun) == 1 else [name for name in begun if name not in own]
    if len(meant) == 1:
        return flags[meant[0]]
    if meant:
        raise BadSettings(f"--{written}: expected one of {', '.join(f'--{name}' for name in sorted(meant))}")
    raise BadSettings(unknown(f"--{written}", written, flags, "--"))


def _separate(flag: Flag, rest: deque[str]) -> str:
    """The value that follows its flag as an argument of its own."""
    if flag.boolean:
        return rest.popleft() if rest and not rest[0].startswith("-") else "true"
    if not rest or rest[0].startswith("--"):
        raise BadSettings(f"--{flag.name}: expected a value after it, got {rest[0] if rest else 'nothing'}")
    return rest.popleft()
