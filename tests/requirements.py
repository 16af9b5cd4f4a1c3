"""What tests need besides Python packages, and may find missing on a machine.

A test says `require("perf_analyzer", found, reason)`. Where it was not found the test is skipped with the reason;
where the environment variable TESTS_REQUIRE (comma-separated names) has the name, it fails instead, so that a
machine which should have everything cannot pass by skipping. A name must be listed here: a typing error in either
place would otherwise turn a failure into a skip.
"""

import os
from collections.abc import Mapping

import pytest

VARIABLE = "TESTS_REQUIRE"
NAMES = frozenset({"cargo", "go", "java", "node", "perf_analyzer", "prometheus"})


def require(name: str, found: bool, reason: str, environment: Mapping[str, str] = os.environ) -> None:
    """Skip the test, or the module, where `found` is false; fail where TESTS_REQUIRE has the name.

    `name` is one of NAMES (else ValueError), `reason` says what is missing and how to get it.
    """
    if name not in NAMES:
        raise ValueError(f"require() got {name!r}, expected one of {sorted(NAMES)} (tests/requirements.py)")
    if found:
        return
    if name in required(environment):
        pytest.fail(f"{VARIABLE} names {name!r}, and it is missing: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def required(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the names in TESTS_REQUIRE; ValueError where one is not of NAMES."""
    names = frozenset(filter(None, map(str.strip, environment.get(VARIABLE, "").split(","))))
    if unknown := names - NAMES:
        raise ValueError(f"{VARIABLE} has {sorted(unknown)}, expected names of {sorted(NAMES)}")
    return names
