"""Scenarios: inputs and outputs that do not fit the model, and which of several mistakes is told."""

from typing import Any

from tests.conformance.messages import COUNT, ONES, Given, add_sub, fp32, request
from tests.conformance.observation import Observation, ok, refused
from tests.conformance.scenario import Scenario, asks

ANY = "[request id: <id_unknown>] "
HINT = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try "
    "setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)
FIRST = Given("INPUT0", "INT32", [1, 16], COUNT)
SECOND = Given("INPUT1", "INT32", [1, 16], ONES)


def simple(first: Given = FIRST, second: Given = SECOND, **others: Any) -> Any:
    return request("simple", first, second, **others)


def bad(text: str) -> Observation:
    return refused("INVALID_ARGUMENT", text)


def shape(got: str, name: str = "INPUT0") -> Observation:
    return bad(f"{ANY}unexpected shape for input '{name}' for model 'simple'. Expected [-1,16], got {got}. {HINT}")


def count(got: int, given: str, missing: str, tag: str = ANY) -> Observation:
    return bad(
        f"{tag}expected 2 inputs but got {got} inputs for model 'simple'. Got input(s) [{given}], but missing required "
        f"input(s) [{missing}]. Please provide all required input(s)."
    )


def no_datatype(got: str) -> Observation:
    known = "BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BF16, BYTES"
    return bad(f"{ANY}inference input 'INPUT0' data-type is '{got}', expected one of {known}")


UNKNOWN_OUTPUT = bad("unexpected inference output 'OUTPUT7' for model 'simple'")
TOO_MANY_ROWS = bad(f"{ANY}inference request batch-size must be <= 8 for 'simple'")
SAYS_MORE = "the same text, and after it what was expected or got"
OTHER_ROWS = bad(f"{ANY}input 'INPUT0' batch size does not match other inputs for 'simple'")
BY_HASH = "which of the two is told is a matter of order: Triton's is that of a hash, Naiad's that of the request"


INPUTS: tuple[Scenario, ...] = (
    asks("inputs.one_missing", "one of two inputs", request("simple", FIRST), count(1, "'INPUT0'", "'INPUT1'")),
    asks("inputs.none", "no input at all", request("simple"), count(0, "", "'INPUT0','INPUT1'")),
    asks(
        "inputs.request_id",
        "an error names the request it is about",
        request("simple", FIRST, request_id="id 7"),
        count(1, "'INPUT0'", "'INPUT1'", "[request id: id 7] "),
    ),
    asks(
        "inputs.too_many",
        "three of two inputs",
        request("simple", FIRST, SECOND, Given("INPUT2", "INT32", [1, 16], ONES)),
        bad(
            f"{ANY}expected 2 inputs but got 3 inputs for model 'simple'. Got input(s) ['INPUT0','INPUT1','INPUT2'], "
            "but missing required input(s) []. Please provide all required input(s). Leave out ['INPUT2']."
        ),
        bad(
            f"{ANY}expected 2 inputs but got 3 inputs for model 'simple'. Got input(s) ['INPUT2','INPUT1','INPUT0'], "
            "but missing required input(s) ]. Please provide all required input(s)."
        ),
        "Triton prints an empty list as `]`, and names in the order of a hash; Naiad says which to leave out",
    ),
    asks(
        "inputs.wrong_name",
        "an input that the model does not have",
        simple(second=Given("INPUT2", "INT32", [1, 16], ONES)),
        bad(
            "unexpected inference input 'INPUT2' for model 'simple', expected one of 'INPUT0', 'INPUT1'. "
            "Did you mean 'INPUT1'?"
        ),
        bad("unexpected inference input 'INPUT2' for model 'simple'"),
        SAYS_MORE,
    ),
    asks(
        "inputs.duplicate",
        "an input twice",
        simple(second=FIRST),
        bad(f"{ANY}input 'INPUT0' already exists in request"),
    ),
    asks(
        "inputs.optional",
        "fewer than the inputs that are not optional",
        request("optional"),
        bad(
            f"{ANY}expected number of inputs between 1 and 2 but got 0 inputs for model 'optional'. Got input(s) [], "
            "but missing required input(s) ['INPUT0']. Please provide all required input(s)."
        ),
    ),
    asks(
        "inputs.optional_left_out",
        "an optional input left out",
        request("optional", Given("INPUT0", "FP32", [1, 1], fp32([1])), outputs=["OUTPUT0"]),
        ok("optional version 1 id ''", "OUTPUT0 FP32 [1,1] 1.0"),
    ),
    asks(
        "inputs.order",
        "inputs in another order than the config's",
        request("simple", SECOND, FIRST, outputs=["OUTPUT1"]),
        ok("simple version 1 id ''", "OUTPUT1 INT32 [1,16] -1 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"),
    ),
    asks(
        "datatype.wrong",
        "another datatype than the model's",
        simple(Given("INPUT0", "FP32", [1, 16], COUNT)),
        bad(f"{ANY}inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'"),
    ),
    asks(
        "datatype.unknown",
        "a datatype that does not exist",
        simple(Given("INPUT0", "FLOAT", [1, 16], COUNT)),
        no_datatype("FLOAT"),
        bad(f"{ANY}inference input 'INPUT0' data-type is '<invalid>', but model 'simple' expects 'INT32'"),
        "Triton does not say what it got; Naiad says that, and what there is",
    ),
    asks(
        "datatype.empty",
        "no datatype",
        simple(Given("INPUT0", "", [1, 16], COUNT)),
        no_datatype(""),
        bad(f"{ANY}inference input 'INPUT0' data-type is '<invalid>', but model 'simple' expects 'INT32'"),
        "Triton does not say what it got; Naiad says that, and what there is",
    ),
    asks(
        "shape.wrong",
        "another size than the model's",
        simple(Given("INPUT0", "INT32", [1, 17], COUNT)),
        shape("[1,17]"),
    ),
    asks(
        "shape.no_batch",
        "a shape without the batch dimension",
        simple(Given("INPUT0", "INT32", [16], COUNT)),
        bad(f"{ANY}input 'INPUT1' batch size does not match other inputs for 'simple'"),
        OTHER_ROWS,
        BY_HASH,
    ),
    asks(
        "shape.rank", "one dimension too many", simple(Given("INPUT0", "INT32", [1, 16, 1], COUNT)), shape("[1,16,1]")
    ),
    asks(
        "shape.no_hint",
        "a model without a batch dimension: no word about one",
        request("nobatch", Given("INPUT0", "FP32", [3, 2], fp32(range(6)))),
        bad(f"{ANY}unexpected shape for input 'INPUT0' for model 'nobatch'. Expected [2,3], got [3,2]. "),
    ),
    asks(
        "shape.unspecified",
        "a dimension of -1",
        simple(Given("INPUT0", "INT32", [1, -1], COUNT)),
        bad(f"{ANY}All input dimensions should be specified for input 'INPUT0' for model 'simple', got [1,-1]"),
    ),
    asks(
        "shape.negative",
        "a dimension of -16",
        simple(Given("INPUT0", "INT32", [1, -16], COUNT)),
        bad(f"{ANY}All input dimensions should be specified for input 'INPUT0' for model 'simple', got [1,-16]"),
        shape("[1,-16]"),
        "Triton says this of -1 only; the cause is the same",
    ),
    asks(
        "shape.scalar",
        "no shape at all, for a model with a batch dimension",
        simple(Given("INPUT0", "INT32", [], COUNT)),
        bad(f"{ANY}input 'INPUT0' has no shape but model requires batch dimension for 'simple'"),
    ),
    asks(
        "batch.disagree",
        "inputs of different batch sizes",
        simple(second=Given("INPUT1", "INT32", [2, 16], ONES * 2)),
        bad(f"{ANY}input 'INPUT1' batch size does not match other inputs for 'simple'"),
        OTHER_ROWS,
        BY_HASH,
    ),
    asks(
        "batch.unspecified",
        "a batch size of -1",
        simple(Given("INPUT0", "INT32", [-1, 16], COUNT), Given("INPUT1", "INT32", [-1, 16], ONES)),
        bad(f"{ANY}All input dimensions should be specified for input 'INPUT0' for model 'simple', got [-1,16]"),
        OTHER_ROWS,
        "Triton compares the batch sizes of an unspecified shape, of which none differs from the other",
    ),
    asks(
        "batch.too_large",
        "more rows than max_batch_size",
        add_sub(9),
        bad(
            f"{ANY}inference request batch-size must be <= 8 for 'simple', got 9. Split the batch into several requests"
        ),
        TOO_MANY_ROWS,
        SAYS_MORE,
    ),
    asks(
        "batch.zero",
        "no row",
        simple(Given("INPUT0", "INT32", [0, 16], b""), Given("INPUT1", "INT32", [0, 16], b"")),
        bad(f"{ANY}inference request batch-size must be >= 1 for 'simple', got 0. Send no request for no rows"),
        bad(f"{ANY}input byte size mismatch for input 'INPUT1' for model 'simple'. Expected 64, got 0"),
        "Triton takes 0 rows for 1 and then misses the bytes of that row",
    ),
)

OUTPUTS: tuple[Scenario, ...] = (
    asks(
        "outputs.unknown",
        "an output that the model does not have",
        simple(outputs=["OUTPUT7"]),
        bad(
            "unexpected inference output 'OUTPUT7' for model 'simple', expected one of 'OUTPUT0', 'OUTPUT1'. "
            "Did you mean 'OUTPUT1'?"
        ),
        UNKNOWN_OUTPUT,
        SAYS_MORE,
    ),
    asks(
        "outputs.duplicate",
        "an output asked for twice",
        simple(outputs=["OUTPUT0", "OUTPUT0"]),
        bad(f"{ANY}output 'OUTPUT0' already exists in request"),
        ok("simple version 1 id ''", "OUTPUT0 INT32 [1,16] 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"),
        "Triton 2.51 answers it once; later versions refuse it, and so does Naiad",
    ),
)

ORDER: tuple[Scenario, ...] = (
    asks(
        "order.duplicate_before_count",
        "an input twice and another missing: the duplicate is told",
        simple(second=FIRST),
        bad(f"{ANY}input 'INPUT0' already exists in request"),
    ),
    asks(
        "order.count_before_name",
        "too few inputs, and one of a wrong name: the number is told",
        request("simple", Given("INPUT2", "INT32", [1, 16], ONES)),
        count(1, "'INPUT2'", "'INPUT0','INPUT1'"),
    ),
    asks(
        "order.count_before_output",
        "too few inputs and an unknown output: the inputs are told",
        request("simple", FIRST, outputs=["OUTPUT7"]),
        count(1, "'INPUT0'", "'INPUT1'"),
        UNKNOWN_OUTPUT,
        "Triton 2.51 looks at the outputs first, later versions at the inputs; so does Naiad",
    ),
    asks(
        "order.batch_before_datatype",
        "too many rows of a wrong datatype: the rows are told",
        simple(Given("INPUT0", "FP32", [9, 16], COUNT * 9), Given("INPUT1", "INT32", [9, 16], ONES * 9)),
        bad(
            f"{ANY}inference request batch-size must be <= 8 for 'simple', got 9. Split the batch into several requests"
        ),
        TOO_MANY_ROWS,
        SAYS_MORE,
    ),
    asks(
        "order.datatype_before_shape",
        "a wrong datatype and a wrong shape: the datatype is told",
        simple(Given("INPUT0", "FP32", [1, 17], COUNT)),
        bad(f"{ANY}inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'"),
    ),
    asks(
        "order.shape_before_size",
        "a wrong shape and a wrong number of bytes: the shape is told",
        simple(Given("INPUT0", "INT32", [1, 17], b"short")),
        shape("[1,17]"),
    ),
)
