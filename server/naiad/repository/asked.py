"""What a server is asked to make of its repositories, and which configs say too little for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from naiad.core.config import ModelConfig
from naiad.core.problems import Locate, Problem


@dataclass(frozen=True, slots=True)
class Asked:
    """models: those to load, None for all. complete: whether what configs leave out is filled in.

    config_name: models that have a `configs/NAME.pbtxt` of this name are read by it; empty for none.
    """

    models: frozenset[str] | None = None
    config_name: str = ""
    complete: bool = True

    def asks_for(self, model: str) -> bool:
        return self.models is None or model in self.models


def left_out(config: ModelConfig, locate: Locate) -> Iterator[Problem]:
    """What a config does not say and would have to where nothing is filled in: what the names of files do not tell."""
    written = {"input": config.inputs, "output": config.outputs}
    for field, value in written.items():
        if not value:
            yield Problem(
                f"model '{config.name}' must specify '{field}'",
                field,
                locate(field),
                found=f"no '{field}'",
                expected="a complete config, since --disable-auto-complete-config is given",
                remedy=f"Write '{field}' into the config, or leave the flag out",
            )
