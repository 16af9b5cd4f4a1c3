"""Scenarios: what is refused: methods not served yet, messages that are none, queues that are full."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tritonclient.grpc import service_pb2 as wire

from tests.conformance.lookups import SUM
from tests.conformance.messages import Given, Message, add_sub, fp32, request
from tests.conformance.observation import Observation, answer_lines, observe, ok, refused
from tests.conformance.scenario import Scenario
from tests.conformance.target import Target

SERVICE = "/inference.GRPCInferenceService"


def served(method: str, shows: str, message: Message, expected: Observation) -> Scenario:
    """Return the scenario of a method that both answer alike; the lines are the answer's fields."""

    def run(target: Target) -> Observation:
        return observe(lambda: sorted(field.name for field, _ in target.call(method, message).ListFields()))

    return Scenario(f"method.{method}", shows, run, expected)


def calls(method: str, shows: str, message: Message, triton: Observation) -> Scenario:
    """Return the scenario of a method that Naiad knows and does not serve yet."""
    expected = refused("UNIMPLEMENTED", f"{method} is not implemented yet by this server")
    return replace(served(method, shows, message, expected), triton=triton, why=NOT_YET)


def raw(
    name: str,
    shows: str,
    path: str,
    message: bytes,
    expected: Observation,
    triton: Observation | None = None,
    why: str = "",
) -> Scenario:
    def run(target: Target) -> Observation:
        return observe(lambda: [f"{len(target.raw(path, message))} bytes"])

    return Scenario(name, shows, run, expected, triton, why)


def streamed(target: Target) -> Observation:
    def call() -> list[str]:
        lines: list[str] = []
        for reply in target.stream([add_sub(outputs=["OUTPUT0"]), add_sub(9)]):
            lines += [reply.error_message] if reply.error_message else answer_lines(reply.infer_response)
        return lines

    return observe(call)


def at_once(target: Target, model: str, requests: int) -> list[Observation]:
    """Send as many requests of one row at once, and return how each ended."""
    message = request(model, Given("INPUT0", "FP32", [1, 1], fp32([1])))
    with ThreadPoolExecutor(requests) as pool:
        sent = [pool.submit(observe, lambda: answer_lines(target.infer(message))) for _ in range(requests)]
        return [each.result() for each in sent]


def overload(model: str) -> Callable[[Target], Observation]:
    """Send eight at once to a model that is too slow for them; see what the refused are told."""

    def run(target: Target) -> Observation:
        ended = at_once(target, model, 8)
        told = {f"{each.status} {each.text}" for each in ended if each.status != "OK"}
        return ok(f"some are answered: {any(each.status == 'OK' for each in ended)}", *sorted(told))

    return run


NOT_YET = "not served yet; refused rather than ignored"
NO_CONTROL = refused("UNAVAILABLE", "explicit model load / unload is not allowed if polling is enabled")
LOAD = wire.RepositoryModelLoadRequest(model_name="simple")
UNLOAD = wire.RepositoryModelUnloadRequest(model_name="simple")
REGION = wire.SystemSharedMemoryRegisterRequest(name="region", key="/region-that-is-not-there", byte_size=64)

METHODS: tuple[Scenario, ...] = (
    served("RepositoryModelLoad", "load a model of a server that needs no telling", LOAD, NO_CONTROL),
    served("RepositoryModelUnload", "unload a model of a server that needs no telling", UNLOAD, NO_CONTROL),
    calls("SystemSharedMemoryStatus", "list shared memory", wire.SystemSharedMemoryStatusRequest(), ok()),
    calls(
        "SystemSharedMemoryRegister",
        "register shared memory",
        REGION,
        refused("INTERNAL", "Unable to open shared memory region: '/region-that-is-not-there'"),
    ),
    calls(
        "SystemSharedMemoryUnregister", "forget shared memory", wire.SystemSharedMemoryUnregisterRequest(name="x"), ok()
    ),
    calls("CudaSharedMemoryStatus", "list GPU memory", wire.CudaSharedMemoryStatusRequest(), ok()),
    calls(
        "CudaSharedMemoryRegister",
        "register GPU memory",
        wire.CudaSharedMemoryRegisterRequest(name="x"),
        refused("INVALID_ARGUMENT", "failed to register shared memory region: invalid args"),
    ),
    calls("CudaSharedMemoryUnregister", "forget GPU memory", wire.CudaSharedMemoryUnregisterRequest(name="x"), ok()),
    calls("TraceSetting", "read the trace settings", wire.TraceSettingRequest(), ok("settings")),
    calls("LogSettings", "read the log settings", wire.LogSettingsRequest(), ok("settings")),
    Scenario(
        "method.ModelStreamInfer",
        "two requests on a stream, one of them wrong",
        streamed,
        refused("UNIMPLEMENTED", "ModelStreamInfer is not implemented yet by this server"),
        ok(
            "simple version 1 id ''",
            "parameter triton_final_response: bool_param True",
            SUM,
            "[request id: <id_unknown>] inference request batch-size must be <= 8 for 'simple'",
        ),
        NOT_YET,
    ),
)

NO_METHOD = refused("UNIMPLEMENTED", "Method not found!")
SAID = "only the text differs: it says why"
NO_MESSAGE = refused(
    "INVALID_ARGUMENT",
    "failed to parse the message as a ModelInferRequest: Error parsing message with type 'inference.ModelInferRequest'",
)

OTHERS: tuple[Scenario, ...] = (
    raw(
        "method.unknown",
        "a method that does not exist",
        "/inference.GRPCInferenceService/Guess",
        b"",
        NO_METHOD,
        refused("UNIMPLEMENTED", ""),
        SAID,
    ),
    raw(
        "service.unknown",
        "a service that does not exist",
        "/guess.Service/Guess",
        b"",
        NO_METHOD,
        refused("UNIMPLEMENTED", ""),
        SAID,
    ),
    raw(
        "message.garbage",
        "bytes that are no message",
        f"{SERVICE}/ModelInfer",
        b"\xff" * 20,
        NO_MESSAGE,
        refused("INTERNAL", "Unable to parse request"),
        "a message that cannot be read is the client's fault, not the server's",
    ),
    raw(
        "message.cut",
        "a message that is cut off",
        f"{SERVICE}/ModelInfer",
        add_sub().SerializeToString()[:-3],
        NO_MESSAGE,
        refused("INTERNAL", "Unable to parse request"),
        "a message that cannot be read is the client's fault, not the server's",
    ),
    raw(
        "message.not_utf8",
        "a model name that is not UTF-8",
        f"{SERVICE}/ModelInfer",
        b"\x0a\x02\xc3\x28",
        NO_MESSAGE,
        refused("INTERNAL", "Unable to parse request"),
        "a message that cannot be read is the client's fault, not the server's",
    ),
    raw(
        "message.empty",
        "no byte at all: a request without a model name",
        f"{SERVICE}/ModelInfer",
        b"",
        refused("NOT_FOUND", "Request for unknown model: '' is not found"),
    ),
    Scenario(
        "queue.full",
        "more requests than a queue holds",
        overload("busy"),
        ok("some are answered: True", "UNAVAILABLE [request id: <id_unknown>] Exceeds maximum queue size"),
    ),
    Scenario(
        "queue.timeout",
        "requests that wait longer than a queue allows",
        overload("impatient"),
        ok("some are answered: True", "UNAVAILABLE Request timeout expired"),
    ),
)
