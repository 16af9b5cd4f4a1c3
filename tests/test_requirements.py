"""The promise of tests/requirements.py: what CI requires cannot be skipped."""

import pytest

from tests.requirements import require, required

MISSING = "not on this machine"


def test_what_is_found_lets_the_test_run() -> None:
    require("perf_analyzer", True, MISSING, {"TESTS_REQUIRE": "perf_analyzer"})


def test_what_is_missing_skips_the_test_and_says_why() -> None:
    with pytest.raises(pytest.skip.Exception, match=MISSING):
        require("perf_analyzer", False, MISSING, {})


def test_what_is_missing_and_required_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match=f"names 'perf_analyzer'.*{MISSING}"):
        require("perf_analyzer", False, MISSING, {"TESTS_REQUIRE": " perf_analyzer ,"})


def test_a_name_that_nobody_listed_is_refused_even_when_found() -> None:
    with pytest.raises(ValueError, match="got 'pref_analyzer'"):
        require("pref_analyzer", True, MISSING, {})


def test_an_unknown_name_in_the_environment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has \['pref_analyzer'\]"):
        required({"TESTS_REQUIRE": "perf_analyzer,pref_analyzer"})
