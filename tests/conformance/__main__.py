"""Point the scenarios at any server, or compare what two of them did.

    python -m tests.conformance HOST:PORT [--json FILE] [--only TEXT]   run them, print what was seen
    python -m tests.conformance --compare FIRST SECOND                  print what differs

FIRST and SECOND are files written by --json, or the word `naiad` or `triton` for the committed expectations. The
server serves what `python -m tests.conformance.repository` writes.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.observation import Observation, difference
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.target import Target

Observations = Mapping[str, Observation]


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = parser().parse_args(arguments)
    if parsed.compare:
        return compare(*map(load, parsed.compare))
    if not parsed.address:
        parser().error("got neither a server's HOST:PORT nor --compare")
    seen = run(parsed.address, parsed.only)
    if parsed.json:
        content = {name: each.to_json() for name, each in seen.items()}
        parsed.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.conformance", description=(__doc__ or "").split("\n", 1)[0])
    made.add_argument("address", nargs="?", help="HOST:PORT of a server's gRPC")
    made.add_argument("--json", type=Path, metavar="FILE", help="save what was seen")
    made.add_argument("--only", default="", metavar="TEXT", help="only scenarios with TEXT in their names")
    made.add_argument("--compare", nargs=2, metavar=("FIRST", "SECOND"), help="print what differs; exit code 1 if any")
    return made


def run(address: str, only: str) -> Observations:
    """Run the scenarios one after the other, print each with what was seen, and return it."""
    seen = {}
    with Target(address) as target:
        for scenario in SCENARIOS:
            if only in scenario.name:
                seen[scenario.name] = scenario.run(target)
                print(f"{scenario.name}: {scenario.shows}\n  {seen[scenario.name]}")  # noqa: T201 -- a command
    return seen


def load(source: str) -> Observations:
    """Return the observations of a file, or the committed ones of `naiad` or `triton`."""
    if source == "naiad":
        return {each.name: each.expected for each in SCENARIOS}
    if source == "triton":
        return {each.name: each.of_triton for each in SCENARIOS}
    content = json.loads(Path(source).read_text())
    return {name: Observation.from_json(value) for name, value in content.items()}


def compare(first: Observations, second: Observations) -> int:
    """Print every difference; 1 if there is any."""
    differing = 0
    for name in sorted(first.keys() | second.keys()):
        lines = differs(first.get(name), second.get(name))
        differing += bool(lines)
        if lines:
            print("\n".join([name, *(f"  {line}" for line in lines)]))  # noqa: T201 -- a command
    print(f"{differing} of {len(first.keys() | second.keys())} scenarios differ")  # noqa: T201 -- a command
    return int(differing > 0)


def differs(first: Observation | None, second: Observation | None) -> list[str]:
    if first is None or second is None:
        return ["only in the second" if first is None else "only in the first"]
    return difference(first, second)


if __name__ == "__main__":
    sys.exit(main())
