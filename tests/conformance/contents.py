"""Scenarios: the data of inputs: raw bytes, typed contents, neither or both, and sizes that lie."""

from tests.conformance.messages import COUNT, ONES, Given, int32, request, strings
from tests.conformance.observation import ok, refused
from tests.conformance.scenario import Scenario, asks
from tests.conformance.signatures import ANY, FIRST, SECOND, bad, simple

SUM = "OUTPUT0 INT32 [1,16] 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"


def text(raw: bytes | None = None, elements: int = 2) -> object:
    return request("identity_bytes", Given("INPUT0", "BYTES", [1, elements], raw))


CUT = "incomplete string data for inference input 'INPUT0', expecting string of length 255 but only 3 bytes available"

PLACEMENT: tuple[Scenario, ...] = (
    asks(
        "data.both",
        "raw bytes for one input and typed contents for the other",
        simple(second=Given("INPUT1", "INT32", [1, 16], None, {"int_contents": [1] * 16})),
        bad("contents field must not be specified when using raw_input_contents for 'INPUT1' for model 'simple'"),
    ),
    asks(
        "data.both_for_one",
        "raw bytes and typed contents for the same input",
        request("identity_int32", Given("INPUT0", "INT32", [1, 1], int32([1]), {"int_contents": [1]})),
        bad(
            "contents field must not be specified when using raw_input_contents for 'INPUT0' for model 'identity_int32'"
        ),
    ),
    asks(
        "data.missing",
        "raw bytes for one of two inputs",
        request("simple", FIRST, SECOND._replace(raw=None)),
        bad("unable to find data for input tensor 'INPUT1' for model 'simple' in request."),
    ),
    asks(
        "data.none",
        "no data for any input",
        request("simple", FIRST._replace(raw=None), SECOND._replace(raw=None)),
        bad("unable to find data for input tensor 'INPUT0' for model 'simple' in request."),
    ),
    asks(
        "data.surplus",
        "more raw contents than inputs",
        simple(outputs=["OUTPUT0"], extra_raw=[b"more"]),
        bad("got 3 raw_input_contents for 2 inputs of model 'simple', expected one for each"),
        ok("simple version 1 id ''", SUM),
        "Triton does not look at what is left over; data that belongs to no input is a client's mistake",
    ),
    asks(
        "data.empty_raw",
        "an empty raw content where bytes are expected",
        simple(Given("INPUT0", "INT32", [1, 16], b"")),
        bad(f"{ANY}input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 0"),
    ),
)

SIZES: tuple[Scenario, ...] = (
    asks(
        "size.short",
        "fewer bytes than the shape says",
        simple(Given("INPUT0", "INT32", [1, 16], COUNT[:60])),
        bad(f"{ANY}input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 60"),
    ),
    asks(
        "size.long",
        "more bytes than the shape says",
        simple(Given("INPUT0", "INT32", [1, 16], COUNT + ONES)),
        bad(f"{ANY}input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 128"),
    ),
    asks(
        "size.overflow",
        "a shape of 2^63 bytes and more",
        request("identity_fp64", Given("INPUT0", "FP64", [1, 2**61], b"")),
        bad(f"{ANY}input byte size mismatch for input 'INPUT0' for model 'identity_fp64'. Expected {2**64}, got 0"),
        refused("INTERNAL", "Stub process 'identity_fp64_0_0' is not healthy."),
        "Triton counts bytes modulo 2^64: the request gets through, and ended the model for good",
    ),
    asks(
        "size.overflow_of_shape",
        "a shape of more than 2^64 elements, that wraps to few",
        request(
            "echo_pair", Given("INPUT0", "BYTES", [1, 1], strings(b"")), Given("INPUT1", "FP32", [1, 2, 2**62], b"")
        ),
        bad(f"{ANY}input byte size mismatch for input 'INPUT1' for model 'echo_pair'. Expected {2**65}, got 0"),
        refused("INTERNAL", "Stub process 'echo_pair_0_0' is not healthy."),
        "Triton counts bytes modulo 2^64: the request gets through, and ended the model for good",
    ),
    asks(
        "size.typed_few",
        "fewer typed values than the shape says",
        request("identity_int32", Given("INPUT0", "INT32", [1, 3], None, {"int_contents": [1, 2]})),
        bad(f"{ANY}input byte size mismatch for input 'INPUT0' for model 'identity_int32'. Expected 12, got 8"),
    ),
    asks(
        "size.typed_many",
        "more typed values than the shape says",
        request("identity_int32", Given("INPUT0", "INT32", [1, 1], None, {"int_contents": [1, 2]})),
        bad(f"{ANY}input byte size mismatch for input 'INPUT0' for model 'identity_int32'. Expected 4, got 8"),
    ),
    asks(
        "typed.wrong_kind",
        "typed contents of another datatype",
        request("identity_fp32", Given("INPUT0", "FP32", [1, 1], None, {"int_contents": [1]})),
        bad(
            "unexpected explicit tensor data for input tensor 'INPUT0' for model 'identity_fp32' of type 'INT32', "
            "expected datatype 'FP32'"
        ),
    ),
    asks(
        "typed.two_kinds",
        "typed contents of two kinds",
        request(
            "identity_fp32",
            Given("INPUT0", "FP32", [1, 1], None, {"fp32_contents": [1], "int_contents": [1]}),
        ),
        bad(
            "unexpected explicit tensor data for input tensor 'INPUT0' for model 'identity_fp32' of type 'INT32', "
            "expected datatype 'FP32'"
        ),
    ),
    asks(
        "typed.fp16",
        "FP16 has no typed contents",
        request("identity_fp16", Given("INPUT0", "FP16", [1, 1], None, {"fp32_contents": [1]})),
        bad(
            "unexpected explicit tensor data for input tensor 'INPUT0' for model 'identity_fp16' of type 'FP32', "
            "expected datatype 'FP16'"
        ),
    ),
    asks(
        "typed.too_large",
        "a typed value that the datatype cannot hold",
        request("identity_int8", Given("INPUT0", "INT8", [1, 2], None, {"int_contents": [300, -129]})),
        bad(
            "value 300 of input tensor 'INPUT0' for model 'identity_int8' is outside the range of datatype 'INT8', "
            "[-128, 127]"
        ),
        ok("identity_int8 version 1 id ''", "OUTPUT0 INT8 [1,2] 44 127"),
        "Triton takes the low bytes and computes with numbers that nobody sent",
    ),
)

STRINGS: tuple[Scenario, ...] = (
    asks(
        "strings.length_cut",
        "an element whose length is cut off",
        text(strings(b"ab") + b"\x01\x00"),
        bad(
            f"{ANY}incomplete string length indicator for inference input 'INPUT0' for model 'identity_bytes', "
            "expecting 4 bytes but only 2 bytes available. Please make sure the string length indicator is in one "
            "buffer."
        ),
    ),
    asks(
        "strings.data_cut",
        "an element that is shorter than its length",
        text(strings(b"ab") + b"\xff\x00\x00\x00abc"),
        bad(ANY + CUT),
        bad(CUT),
        "every other text about strings names the request; this one does too",
    ),
    asks(
        "strings.few",
        "fewer elements than the shape says",
        text(strings(b"ab")),
        bad(f"{ANY}expected 2 string elements for inference input 'INPUT0' for model 'identity_bytes', got 1"),
    ),
    asks(
        "strings.many",
        "more elements than the shape says",
        text(strings(b"a", b"b", b"c")),
        bad(
            f"{ANY}unexpected number of string elements 3 for inference input 'INPUT0' for model 'identity_bytes', "
            "expecting 2"
        ),
    ),
    asks(
        "strings.huge_count",
        "a shape of 2^62 elements without data",
        text(b"", 2**62),
        bad(f"{ANY}expected {2**62} string elements for inference input 'INPUT0' for model 'identity_bytes', got 0"),
    ),
    asks(
        "strings.any_bytes",
        "elements are bytes, whatever is in them, and may be empty",
        text(strings(b"", b"\x00\xff\n\xc3")),
        ok("identity_bytes version 1 id ''", "OUTPUT0 BYTES [1,2] b'' b'\\x00\\xff\\n\\xc3'"),
    ),
)
