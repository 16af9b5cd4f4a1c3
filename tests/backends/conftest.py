"""Where a test's ONNX model stands: the file of version 1 of a model's directory."""

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "1" / "model.onnx"
