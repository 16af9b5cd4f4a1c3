"""A scenario: something to do to a server, what Naiad is expected to do, and where Triton does something else.

`triton` is what Triton 2.51 was seen to do; it stands only where that differs, and then `why` gives the reason why
ours stands. docs/compatibility.md has the same reasons for readers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.conformance.messages import Message
from tests.conformance.observation import Observation, answer_lines, observe
from tests.conformance.target import Target

Lines = Iterable[str]


@dataclass(frozen=True)
class Scenario:
    name: str
    shows: str
    run: Callable[[Target], Observation]
    expected: Observation
    triton: Observation | None = None
    why: str = ""

    def __post_init__(self) -> None:
        if (self.triton is None) != (not self.why):
            raise ValueError(f"scenario {self.name}: `triton` and `why` come together")
        if self.triton == self.expected:
            raise ValueError(f"scenario {self.name}: `triton` is what is expected of Naiad; leave it out")

    @property
    def of_triton(self) -> Observation:
        return self.expected if self.triton is None else self.triton


def asks(
    name: str, shows: str, message: Message, expected: Observation, triton: Observation | None = None, why: str = ""
) -> Scenario:
    """Return the scenario of one ModelInfer request and its answer."""

    def run(target: Target) -> Observation:
        return observe(lambda: answer_lines(target.infer(message)))

    return Scenario(name, shows, run, expected, triton, why)


def reads(
    name: str,
    shows: str,
    call: Callable[[Target], Lines],
    expected: Observation,
    triton: Observation | None = None,
    why: str = "",
) -> Scenario:
    """Return the scenario of calls that give lines, or end with an error."""
    return Scenario(name, shows, lambda target: observe(lambda: call(target)), expected, triton, why)
