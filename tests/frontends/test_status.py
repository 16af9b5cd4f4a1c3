"""The table of codes."""

from __future__ import annotations

import grpc
import pytest

from naiad.core.errors import Code
from naiad.frontends.status import STATUS, GrpcStatus


def test_every_code_has_a_status_on_every_wire() -> None:
    assert set(STATUS) == set(Code)
    assert all(400 <= status.http < 600 for status in STATUS.values())


@pytest.mark.parametrize("code", Code)
def test_on_grpc_our_codes_keep_their_names(code: Code) -> None:
    assert STATUS[code].grpc.name == code.value


def test_the_grpc_statuses_are_grpcs_own() -> None:
    assert {s.name: s.value for s in GrpcStatus} == {s.name: s.value[0] for s in grpc.StatusCode}


@pytest.mark.parametrize(
    ("code", "http"),
    [
        (Code.INTERNAL, 500),
        (Code.NOT_FOUND, 404),
        (Code.INVALID_ARGUMENT, 400),
        (Code.UNAVAILABLE, 503),
        (Code.UNIMPLEMENTED, 501),
        (Code.ALREADY_EXISTS, 400),
        (Code.CANCELLED, 400),
    ],
)
def test_on_http_codes_of_the_protocol_are_told_as_triton_tells_them(code: Code, http: int) -> None:
    assert STATUS[code].http == http
