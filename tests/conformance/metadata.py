"""Scenarios: what the server says of itself, and of its models' signatures and configs."""

from collections.abc import Callable

from tritonclient.grpc import service_pb2 as wire

from tests.conformance.observation import ok, refused
from tests.conformance.scenario import Lines, Scenario, reads
from tests.conformance.target import Target


def server_metadata(target: Target) -> Lines:
    reply = target.call("ServerMetadata", wire.ServerMetadataRequest())
    return [reply.name, *reply.extensions]


def metadata(name: str, version: str = "") -> Callable[[Target], Lines]:
    def call(target: Target) -> Lines:
        reply = target.call("ModelMetadata", wire.ModelMetadataRequest(name=name, version=version))
        yield f"{reply.name} versions {list(reply.versions)}"
        for kind, tensors in (("input", reply.inputs), ("output", reply.outputs)):
            yield from (f"{kind} {each.name} {each.datatype} {list(each.shape)}" for each in tensors)

    return call


def config(name: str, version: str = "") -> Callable[[Target], Lines]:
    """Read what does not depend on the backend."""

    def call(target: Target) -> Lines:
        reply = target.call("ModelConfig", wire.ModelConfigRequest(name=name, version=version)).config
        yield f"{reply.name} max_batch_size {reply.max_batch_size} latest {reply.version_policy.latest.num_versions}"
        for kind, tensors in (("input", reply.input), ("output", reply.output)):
            yield from (f"{kind} {each.name} {each.data_type} {list(each.dims)}" for each in tensors)
        for group in reply.instance_group:
            yield f"instance group {group.name} kind {group.kind} count {group.count}"
        if reply.HasField("dynamic_batching"):
            batching = reply.dynamic_batching
            yield f"dynamic batching {list(batching.preferred_batch_size)} {batching.max_queue_delay_microseconds} us"

    return call


SIMPLE = (
    "simple versions ['1']",
    "input INPUT0 INT32 [-1, 16]",
    "input INPUT1 INT32 [-1, 16]",
    "output OUTPUT0 INT32 [-1, 16]",
    "output OUTPUT1 INT32 [-1, 16]",
)
NOT_FOUND = refused("NOT_FOUND", "Request for unknown model: 'nowhere' is not found")
TRITON = (
    *("triton", "classification", "sequence", "model_repository", "model_repository(unload_dependents)"),
    *("schedule_policy", "model_configuration", "system_shared_memory", "cuda_shared_memory", "binary_tensor_data"),
    *("parameters", "statistics", "trace", "logging"),
)

METADATA: tuple[Scenario, ...] = (
    reads(
        "server.metadata",
        "who serves, and which extensions",
        server_metadata,
        ok("naiad", *TRITON[3:5], "model_configuration", "parameters", "statistics"),
        ok(*TRITON),
        "the name is the server's own, and only extensions that work are named",
    ),
    reads("metadata.model", "a model's signature, the batch dimension first", metadata("simple"), ok(*SIMPLE)),
    reads(
        "metadata.versions",
        "all versions that are ready",
        metadata("versions"),
        ok("versions versions ['2', '5']", "input INPUT0 FP32 [-1, 1]", "output OUTPUT0 FP32 [-1, 1]"),
    ),
    reads(
        "metadata.one_version",
        "one version",
        metadata("versions", "2"),
        ok("versions versions ['2']", "input INPUT0 FP32 [-1, 1]", "output OUTPUT0 FP32 [-1, 1]"),
    ),
    reads(
        "metadata.strings",
        "strings are BYTES on the wire",
        metadata("echo_pair"),
        ok(
            "echo_pair versions ['1']",
            "input INPUT0 BYTES [-1, -1]",
            "input INPUT1 FP32 [-1, 2, -1]",
            "output OUTPUT0 BYTES [-1, -1]",
            "output OUTPUT1 FP32 [-1, 2, -1]",
        ),
    ),
    reads(
        "metadata.nobatch",
        "without a batch dimension",
        metadata("nobatch"),
        ok("nobatch versions ['1']", "input INPUT0 FP32 [2, 3]", "output OUTPUT0 FP32 [2, 3]"),
    ),
    reads("metadata.unknown", "a model that is nowhere", metadata("nowhere"), NOT_FOUND),
    reads(
        "metadata.broken",
        "a model that did not load",
        metadata("broken"),
        refused("NOT_FOUND", "Request for unknown model: 'broken' has no available versions"),
    ),
    reads(
        "config.model",
        "the completed config",
        config("simple"),
        ok(
            "simple max_batch_size 8 latest 1",
            "input INPUT0 8 [16]",
            "input INPUT1 8 [16]",
            "output OUTPUT0 8 [16]",
            "output OUTPUT1 8 [16]",
            "instance group simple_0 kind 2 count 1",
            "dynamic batching [8] 0 us",
        ),
    ),
    reads("config.unknown", "the config of a model that is nowhere", config("nowhere"), NOT_FOUND),
)
