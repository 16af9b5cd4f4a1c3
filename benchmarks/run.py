"""All benchmarks: `make bench`, or `make bench ARGS="--only core,wire --rounds 9"`.

Every section prints what it measured, and whether a budget was met, as soon as it is done. `--markdown PAGE` writes
the same between the marks of PAGE when all are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    access_log,
    beside,
    codec,
    copies,
    core,
    fleet,
    instructions,
    large,
    machine,
    networks,
    report,
    runtime,
    spread,
    startup,
    wire,
)
from benchmarks.options import DEFAULT, QUICK, Options
from benchmarks.report import Section
from benchmarks.servers import Server

SECTIONS: dict[str, Callable[[Options], Section]] = {
    "core": core.measure,
    "instructions": instructions.measure,
    "codec": codec.measure,
    "runtime": runtime.measure,
    "wire": wire.measure,
    "spread": spread.measure,
    "beside": beside.measure,
    "large": large.measure,
    "copies": copies.measure,
    "access-log": access_log.measure,
    "mlp": networks.mlp,
    "conv1": networks.conv1,
    "conv4": networks.conv4,
    "fleet": fleet.measure,
    "startup": startup.measure,
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    options = replace(QUICK if given.quick else DEFAULT, others=tuple(given.other))
    chosen = {name: value for name in ("rounds", "seconds") if (value := getattr(given, name)) is not None}
    options = replace(options, **chosen)
    if given.markdown:
        report.replaced(given.markdown.read_text(), "")  # a page without a place for them is refused before the work
    measured_on = machine.described(datetime.now(UTC).date())
    print(measured_on, flush=True)
    sections = []
    for name in given.only:
        sections.append(SECTIONS[name](options))
        print(f"\n{report.text(sections[-1])}", flush=True)
    if given.markdown:
        block = "\n\n".join([f"{measured_on}.", *map(report.markdown, sections)])
        given.markdown.write_text(report.replaced(given.markdown.read_text(), block))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    names = ",".join(SECTIONS)
    parser.add_argument(
        "--only", type=_sections, default=list(SECTIONS), metavar="SECTION,...", help=f"some of {names}"
    )
    parser.add_argument("--rounds", type=int, help=f"how often each thing is measured ({DEFAULT.rounds})")
    parser.add_argument("--seconds", type=float, help=f"about how long one run under load takes ({DEFAULT.seconds})")
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument(
        "--other", action="append", type=_server, default=[], metavar="NAME,HOST:PORT,PID",
        help="a further V2 server with a model `echo`, INPUT0 FP32 [16]; may be repeated",
    )  # fmt: skip
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the figures into this page too")
    return parser


def _sections(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(f"got {', '.join(unknown)}, expected some of {', '.join(SECTIONS)}")
    return names


def _server(text: str) -> Server:
    fields = text.split(",")
    if len(fields) != 3 or not fields[2].isdigit():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected NAME,HOST:PORT,PID")
    return Server(fields[0], fields[1], int(fields[2]))


if __name__ == "__main__":
    main()
