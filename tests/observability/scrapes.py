"""A scrape, read as Prometheus reads it."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[tuple[str, str], ...]


class Scrape(NamedTuple):
    """types: by family, as the text declares them. values: by a sample's name and its sorted labels."""

    types: dict[str, str]
    values: dict[str, dict[Series, float]]

    def value(self, name: str, **labels: str) -> float:
        return self.values[name][series(**labels)]

    def sum(self, name: str, **labels: str) -> float:
        """Over all series that have these labels, among others."""
        wanted = set(labels.items())
        return sum(value for key, value in self.values[name].items() if wanted <= set(key))

    def labels(self, name: str) -> set[Series]:
        return set(self.values[name])

    @property
    def size(self) -> int:
        """How many series there are."""
        return sum(map(len, self.values.values()))


def series(**labels: str) -> Series:
    return tuple(sorted(labels.items()))


def read(text: str) -> Scrape:
    """Parse all of it; a series that is there twice, or a family that is torn apart, is an error."""
    declared = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    types = {name: kind for _, _, name, kind in declared}
    values: dict[str, dict[Series, float]] = {}
    families: list[str] = []
    for family in text_string_to_metric_families(text):
        families.append(family.name)
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            name = sample.name
            if name not in types and types.get(name.removesuffix("_total")) == "counter":
                name = name.removesuffix("_total")  # which the parser put there
            of_name = values.setdefault(name, {})
            assert key not in of_name, f"{sample.name}{key} is there twice"
            of_name[key] = sample.value
    assert len(families) == len(set(families)), families
    assert len(declared) == len(types) == len(families)
    return Scrape(types, values)
