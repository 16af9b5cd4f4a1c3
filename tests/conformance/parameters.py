"""Scenarios: the parameters of requests, inputs and outputs, and the request's id."""

from tests.conformance.lookups import SUM
from tests.conformance.messages import COUNT, Asked, Given, Message, Parameters, fp32, request
from tests.conformance.observation import Observation, ok, refused
from tests.conformance.scenario import Scenario, asks
from tests.conformance.signatures import bad, simple

NOT_YET = "not served yet; refused rather than ignored"


def with_parameters(**parameters: dict[str, object]) -> Message:
    return simple(outputs=["OUTPUT0"], parameters=parameters)


def asked(parameters: Parameters) -> Message:
    return request(
        "identity_fp32", Given("INPUT0", "FP32", [1, 3], fp32([1, 3, 2])), outputs=[Asked("OUTPUT0", parameters)]
    )


def no_shared_memory(tensor: str) -> Observation:
    return refused(
        "UNIMPLEMENTED",
        "Client shared memory is disabled. It is not implemented yet by this server: the parameter "
        f"'shared_memory_region' of {tensor} cannot be honoured.",
    )


FINE: Observation = ok("simple version 1 id ''", SUM)

REQUEST: tuple[Scenario, ...] = (
    asks(
        "parameters.custom",
        "parameters of the model's own are taken",
        with_parameters(text={"string_param": "x"}, number={"int64_param": 5}, flag={"bool_param": True}),
        FINE,
    ),
    asks("parameters.double", "a custom parameter of type double", with_parameters(scale={"double_param": 0.5}), FINE),
    asks(
        "parameters.unset",
        "a parameter without a value",
        with_parameters(nothing={}),
        bad("invalid value type for 'nothing' parameter, expected int64_param, bool_param, or string_param."),
    ),
    asks(
        "parameters.uint64",
        "a custom parameter of type uint64",
        with_parameters(size={"uint64_param": 5}),
        bad("invalid value type for 'size' parameter, expected int64_param, bool_param, or string_param."),
    ),
    asks(
        "parameters.reserved",
        "a key that begins with triton_",
        with_parameters(triton_x={"bool_param": True}),
        bad(
            "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting "
            "with 'triton_' are allowed: triton_enable_empty_final_response"
        ),
    ),
    asks(
        "parameters.empty_final",
        "triton_enable_empty_final_response is taken",
        with_parameters(triton_enable_empty_final_response={"bool_param": True}),
        FINE,
    ),
    asks(
        "timeout.text",
        "a timeout that is a text",
        with_parameters(timeout={"string_param": "5"}),
        bad("invalid value type for 'timeout' parameter, expected int64_param."),
    ),
    asks("timeout.number", "a timeout in microseconds", with_parameters(timeout={"int64_param": 10**7}), FINE),
    asks("timeout.negative", "a negative timeout is none", with_parameters(timeout={"int64_param": -1}), FINE),
    asks("priority.unsigned", "a priority as clients send it", with_parameters(priority={"uint64_param": 1}), FINE),
    asks(
        "priority.negative",
        "a negative priority",
        with_parameters(priority={"int64_param": -1}),
        bad("invalid value for 'priority', expected value >= 0."),
    ),
    asks(
        "priority.text",
        "a priority that is a text",
        with_parameters(priority={"string_param": "high"}),
        bad("invalid value type for 'priority' parameter, expected int64_param or uint64_param."),
    ),
    asks(
        "sequence.number",
        "a sequence id for a model without sequences",
        with_parameters(
            sequence_id={"int64_param": 7}, sequence_start={"bool_param": True}, sequence_end={"bool_param": True}
        ),
        FINE,
    ),
    asks("sequence.text", "a sequence id that is a text", with_parameters(sequence_id={"string_param": "a"}), FINE),
    asks(
        "sequence.unsigned",
        "an unsigned sequence id",
        with_parameters(sequence_id={"uint64_param": 7}),
        bad("invalid value type for 'sequence_id' parameter, expected int64_param or string_param."),
    ),
    asks(
        "sequence.flag",
        "a sequence_start that is a number",
        with_parameters(sequence_start={"int64_param": 1}),
        bad("invalid value type for 'sequence_start' parameter, expected bool_param."),
    ),
)

TENSORS: tuple[Scenario, ...] = (
    asks(
        "outputs.classification",
        "the best two classes of an output",
        asked({"classification": {"int64_param": 2}}),
        refused(
            "UNIMPLEMENTED", "the parameter 'classification' of output 'OUTPUT0' is not implemented yet by this server"
        ),
        ok("identity_fp32 version 1 id ''", "OUTPUT0 BYTES [1,2] b'3.000000:1' b'2.000000:2'"),
        NOT_YET,
    ),
    asks(
        "outputs.classification_text",
        "a number of classes that is a text",
        asked({"classification": {"string_param": "2"}}),
        bad("invalid value type for 'classification' parameter, expected int64_param"),
    ),
    asks(
        "outputs.classification_zero",
        "no class",
        asked({"classification": {"int64_param": 0}}),
        bad("invalid value for 'classification' parameter, expected >= 1"),
        bad("invalid value for 'classification' parameter, expected >= 0"),
        "Triton's text names a value that it refuses",
    ),
    asks(
        "outputs.shared_memory",
        "an output into shared memory",
        asked({"shared_memory_region": {"string_param": "r"}, "shared_memory_byte_size": {"int64_param": 12}}),
        no_shared_memory("output 'OUTPUT0'"),
        refused("NOT_FOUND", "Unable to find shared memory region: 'r'"),
        NOT_YET,
    ),
    asks(
        "inputs.shared_memory",
        "an input from shared memory",
        simple(
            Given(
                "INPUT0",
                "INT32",
                [1, 16],
                None,
                None,
                {"shared_memory_region": {"string_param": "r"}, "shared_memory_byte_size": {"int64_param": 64}},
            )
        ),
        no_shared_memory("input 'INPUT0'"),
        refused("NOT_FOUND", "Unable to find shared memory region: 'r'"),
        NOT_YET,
    ),
    asks(
        "inputs.parameters",
        "a parameter of an input that means nothing",
        simple(Given("INPUT0", "INT32", [1, 16], COUNT, None, {"mine": {"int64_param": 5}}), outputs=["OUTPUT0"]),
        FINE,
    ),
    asks(
        "outputs.parameters",
        "a parameter of an output that means nothing",
        asked({"mine": {"int64_param": 5}}),
        ok("identity_fp32 version 1 id ''", "OUTPUT0 FP32 [1,3] 1.0 3.0 2.0"),
    ),
)

IDS: tuple[Scenario, ...] = (
    asks(
        "id.echoed",
        "the id comes back",
        simple(outputs=["OUTPUT0"], request_id="seven"),
        ok("simple version 1 id 'seven'", SUM),
    ),
    asks(
        "id.any_text",
        "an id may be any text",
        simple(outputs=["OUTPUT0"], request_id="día ☃\n" + "x" * 300),
        ok(f"simple version 1 id {'día ☃' + chr(10) + 'x' * 300!r}", SUM),
    ),
)
