"""The one list of scenarios, for any server that speaks the V2 protocol and serves the models of repository.py."""

from collections import Counter

from tests.conformance import (
    answers,
    contents,
    counters,
    datatypes,
    lookups,
    metadata,
    parameters,
    readiness,
    signatures,
    unserved,
)
from tests.conformance.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *answers.ANSWERS,
    *datatypes.DATATYPES,
    *lookups.LOOKUPS,
    *signatures.INPUTS,
    *signatures.OUTPUTS,
    *signatures.ORDER,
    *contents.PLACEMENT,
    *contents.SIZES,
    *contents.STRINGS,
    *parameters.REQUEST,
    *parameters.TENSORS,
    *parameters.IDS,
    *readiness.READINESS,
    *metadata.METADATA,
    *counters.STATISTICS,
    *unserved.METHODS,
    *unserved.OTHERS,
)

if twice := [name for name, times in Counter(each.name for each in SCENARIOS).items() if times > 1]:
    raise ValueError(f"scenarios of the same name: {', '.join(twice)}")
