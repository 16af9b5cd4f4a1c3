"""All benchmarks: `make bench`, or `make bench ARGS="--rounds 9"`."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks import core, load, wire


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured")
    parser.add_argument("--requests", type=int, default=6000, help="requests of one run over a wire")
    parser.add_argument(
        "--other", action="append", default=[], metavar="NAME,HOST:PORT,PID", help="a further V2 server to measure"
    )
    given = parser.parse_args(arguments)
    others = [load.Server(name, address, int(pid)) for name, address, pid in (o.split(",") for o in given.other)]
    print(
        f"{datetime.now(UTC):%Y-%m-%d} {platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print("\nThe core alone")
    core.main(rounds=given.rounds)
    print("\nOver gRPC, one tiny model")
    wire.main(given.rounds, given.requests, others)


if __name__ == "__main__":
    main()
