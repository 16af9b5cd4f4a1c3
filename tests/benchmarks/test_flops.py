"""Operations counted in a graph are those that its layers have by hand."""

from pathlib import Path

import pytest

from benchmarks.flops import counted
from tests.models import build


def test_a_layer_costs_twice_the_product_of_its_widths(tmp_path: Path) -> None:
    assert counted(build.mlp(tmp_path / "model.onnx", (128, 512, 512, 10))) == 2 * (128 * 512 + 512 * 512 + 512 * 10)


def test_a_convolution_costs_its_kernel_at_every_place(tmp_path: Path) -> None:
    first, second = 3 * 64 * 9 * 32 * 32, 64 * 64 * 9 * 32 * 32
    assert counted(build.conv(tmp_path / "model.onnx", gflop=1e-6)) == 2 * first
    assert counted(build.conv(tmp_path / "model.onnx", gflop=0.07)) == 2 * (first + second)


@pytest.mark.parametrize("gflop", [0.01, 0.1])
def test_a_chain_of_products_costs_what_it_was_made_for(tmp_path: Path, gflop: float) -> None:
    one = 2 * 128**3
    assert gflop * 1e9 <= counted(build.slow(tmp_path / "model.onnx", gflop)) < gflop * 1e9 + one


def test_a_model_that_multiplies_nothing_costs_nothing(tmp_path: Path) -> None:
    assert counted(build.identity(tmp_path / "model.onnx")) == 0
