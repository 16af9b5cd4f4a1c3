"""Version strings, and the protocol's words for those that are none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core.errors import InvalidArgument
from naiad.frontends.versions import parse_version


@given(st.integers(0, 2**63 - 1), st.integers(0, 30))
def test_a_decimal_number_is_itself_also_behind_zeros(number: int, zeros: int) -> None:
    assert parse_version("0" * zeros + str(number)) == number


def test_nothing_is_any_version() -> None:
    assert parse_version("") is None


@pytest.mark.parametrize(
    "text", ["abc", "1.0", "1_000", " 1", "1 ", "+1", "٣", "--1", "-", "9223372036854775808", "-9" * 40, "9" * 5000]
)
def test_what_is_no_number_is_refused_in_the_protocols_words(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_version(text)
    assert str(caught.value) == (
        f"failed to get model version from specified version string '{text}' (details: stol), "
        "version should be an integral value > 0"
    )


def test_a_negative_number_is_refused_in_the_protocols_words() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_version("-1")
    assert str(caught.value) == "invalid model version specified '-1' , version should be an integral value > 0"


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(InvalidArgument):
        assert parse_version(text) == (int(text) if text else None)
