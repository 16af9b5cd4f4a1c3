"""Writes the tables of docs/command-line.md from the settings: what stands between its `generated` and `end` marks.

`python docs/generate.py` writes them; with `--check` it compares them with what it would write, and exits 1 where they
differ.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

from naiad.settings.environment import variable
from naiad.settings.fields import GROUPS
from naiad.settings.help import meaning_of, plain, value_of
from naiad.settings.model import has_default
from naiad.settings.tritonserver import FOREIGN, OWN, Foreign

PAGE = Path(__file__).resolve().parent / "command-line.md"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings() -> Iterator[str]:
    """A table for each group."""
    for group in GROUPS:
        yield f"\n### {group.heading}\n\n"
        yield "| flag | variable | value | default | |\n|---|---|---|---|---|\n"
        for name, field in group.model_fields.items():
            yield row(*_setting(name, field))
    yield "\n"


def _setting(name: str, field: FieldInfo) -> Iterator[str]:
    flag = name.replace("_", "-")
    yield f"`--{flag}`{'*' if flag in OWN else ''}"
    yield f"`{variable(flag)}`"
    yield ", ".join(f"`{each}`" for each in value_of(field).split("|"))
    yield f"`{plain(field.default)}`" if has_default(field) else ""
    yield meaning_of(name, field)


def tritonserver() -> Iterator[str]:
    """The flags that are no settings, those with the same fate and reason in one row."""
    yield "\n| flags | what becomes of them | why |\n|---|---|---|\n"
    rows: dict[tuple[str, str], list[Foreign]] = {}
    for foreign in FOREIGN:
        rows.setdefault((foreign.verdict.value, foreign.why), []).append(foreign)
    for (verdict, why), flags in rows.items():
        yield row(" ".join(f"`--{flag.name}`" for flag in flags), verdict, why)
    yield "\n"


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


BLOCKS: Mapping[str, Callable[[], Iterator[str]]] = {"settings": settings, "tritonserver": tritonserver}


def generated(page: str) -> str:
    """The page with what the settings say now. KeyError for a mark that nothing is made for."""
    return BLOCK.sub(lambda block: f"{block[1]}{''.join(BLOCKS[block[2]]())}{block[3]}", page)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args(arguments).check
    page = PAGE.read_text(encoding="utf-8")
    wanted = generated(page)
    if not check:
        PAGE.write_text(wanted, encoding="utf-8")
    elif wanted != page:
        print(f"{PAGE} is not what the settings say: run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
