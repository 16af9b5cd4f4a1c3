"""What holds for every test: TESTS_REQUIRE is understood before the first one runs (tests/requirements.py)."""

import os

import pytest

from tests.requirements import required

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before any test imports ONNX Runtime


def pytest_configure() -> None:
    try:
        required(os.environ)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
