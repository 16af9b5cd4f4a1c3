"""Scenarios: every datatype there and back, raw and typed, and tensors without elements."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tests.conformance.messages import Given, fp32, request, strings
from tests.conformance.observation import NUMBERS, ok, refused, values
from tests.conformance.scenario import Scenario, asks


class Sample(NamedTuple):
    """Telling values of one datatype, and the field that has them as typed contents (None: there is no such)."""

    datatype: str
    values: Sequence[Any]
    field: str | None

    @property
    def raw(self) -> bytes:
        if self.datatype == "BYTES":
            return strings(*self.values)
        return np.array(self.values, NUMBERS.get(self.datatype, "<u2")).tobytes()


SAMPLES = (
    Sample("BOOL", (True, False, True), "bool_contents"),
    Sample("UINT8", (0, 1, 2**8 - 1), "uint_contents"),
    Sample("UINT16", (0, 1, 2**16 - 1), "uint_contents"),
    Sample("UINT32", (0, 1, 2**32 - 1), "uint_contents"),
    Sample("UINT64", (0, 1, 2**64 - 1), "uint64_contents"),
    Sample("INT8", (-(2**7), 0, 2**7 - 1), "int_contents"),
    Sample("INT16", (-(2**15), 0, 2**15 - 1), "int_contents"),
    Sample("INT32", (-(2**31), 0, 2**31 - 1), "int_contents"),
    Sample("INT64", (-(2**63), 0, 2**63 - 1), "int64_contents"),
    Sample("FP16", (1.5, float("inf"), 6e-08), None),
    Sample("FP32", (1.5, float("-inf"), 1e-45), "fp32_contents"),
    Sample("FP64", (0.1, float("inf"), 5e-324), "fp64_contents"),
    Sample("BF16", (0x3FC0, 0x7F80, 0x0001), None),
    Sample("BYTES", (b"", "naïve".encode(), b"\x00\xff"), "bytes_contents"),
)


def model_of(sample: Sample) -> str:
    return f"identity_{sample.datatype.lower()}"


def answered(sample: Sample, shape: str, raw: bytes) -> Any:
    line = f"OUTPUT0 {sample.datatype} [{shape}] {values(sample.datatype, raw)}".rstrip()
    return ok(f"{model_of(sample)} version 1 id ''", line)


def raw(sample: Sample) -> Scenario:
    message = request(model_of(sample), Given("INPUT0", sample.datatype, [1, 3], sample.raw))
    shows = f"{sample.datatype} as raw bytes, its extreme values included"
    return asks(f"raw.{sample.datatype}", shows, message, answered(sample, "1,3", sample.raw))


def typed(sample: Sample) -> Scenario:
    contents = {str(sample.field): sample.values}
    message = request(model_of(sample), Given("INPUT0", sample.datatype, [3, 1], None, contents))
    shows = f"{sample.datatype} as typed contents; the answer is raw"
    return asks(f"typed.{sample.datatype}", shows, message, answered(sample, "3,1", sample.raw))


def empty(sample: Sample) -> Scenario:
    message = request(model_of(sample), Given("INPUT0", sample.datatype, [2, 0], b""))
    return asks(
        f"empty.{sample.datatype}", f"{sample.datatype} without elements", message, answered(sample, "2,0", b"")
    )


DATATYPES: tuple[Scenario, ...] = (
    *map(raw, SAMPLES),
    *(typed(sample) for sample in SAMPLES if sample.field),
    *(empty(sample) for sample in SAMPLES if sample.datatype in {"FP32", "BYTES", "BF16"}),
    asks(
        "empty.without_data",
        "a tensor without elements, and no data given for it",
        request("identity_fp32", Given("INPUT0", "FP32", [1, 0])),
        refused(
            "INVALID_ARGUMENT", "unable to find data for input tensor 'INPUT0' for model 'identity_fp32' in request."
        ),
    ),
    asks(
        "raw.nobatch",
        "a model without a batch dimension",
        request("nobatch", Given("INPUT0", "FP32", [2, 3], fp32(range(6)))),
        ok("nobatch version 1 id ''", "OUTPUT0 FP32 [2,3] 0.0 1.0 2.0 3.0 4.0 5.0"),
    ),
    asks(
        "raw.mixed",
        "inputs of different datatypes, in another order than the model's",
        request(
            "echo_pair",
            Given("INPUT1", "FP32", [1, 2, 1], fp32([1, 2])),
            Given("INPUT0", "BYTES", [1, 2], strings(b"a", b"bc")),
        ),
        ok("echo_pair version 1 id ''", "OUTPUT0 BYTES [1,2] b'a' b'bc'", "OUTPUT1 FP32 [1,2,1] 1.0 2.0"),
    ),
)
