"""Our contract and tritonclient's live in one process, imported in either order, each with its own messages."""

import subprocess
import sys
import textwrap

import pytest

NAIAD = "import naiad.protocol"
TRITONCLIENT = "import tritonclient.grpc"

# tritonclient's own messages cannot be pickled at the top level: their classes name a module that does not exist.
ROUND_TRIP = """
    import copy
    import pickle
    from naiad.protocol import grpc_service_pb2 as ours
    from tritonclient.grpc import service_pb2 as theirs

    def request(side):
        made = side.ModelInferRequest(model_name="digits")
        made.parameters["priority"].uint64_param = 3
        made.inputs.add(name="image", datatype="FP32", shape=[1, 64])
        return made

    config = ours.ModelConfigResponse()
    config.config.dynamic_batching.priority_queue_policy[1].max_queue_size = 7

    for message in (config, request(ours), request(ours).inputs[0], request(theirs).inputs[0]):
        for copied in (pickle.loads(pickle.dumps(message)), copy.copy(message), copy.deepcopy(message)):
            assert type(copied) is type(message), (type(message), type(copied))
            assert copied == message, copied
    assert type(request(ours)) is not type(request(theirs))
"""


def run(*parts: str, stdin: bytes = b"") -> bytes:
    """Run a fresh interpreter, warnings as errors, and return what it wrote to its standard output."""
    program = "\n".join(map(textwrap.dedent, parts))
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("imports", [[TRITONCLIENT, NAIAD], [NAIAD, TRITONCLIENT]], ids=" then ".join)
def test_messages_of_both_sides_survive_pickling_in_one_process(imports: list[str]) -> None:
    run(*imports, ROUND_TRIP)


@pytest.mark.parametrize("kind", ["ModelInferRequest", "ModelInferRequest.InferInputTensor"])
def test_a_message_pickled_in_one_process_is_loaded_in_another(kind: str) -> None:
    pickled = run(f"""
        import pickle, sys
        from naiad.protocol import grpc_service_pb2 as ours
        message = ours.ModelInferRequest(inputs=[{{"name": "image"}}])
        message = message if "{kind}" == "ModelInferRequest" else message.inputs[0]
        sys.stdout.buffer.write(pickle.dumps(message))
    """)
    loaded = run(
        TRITONCLIENT,
        """
        import pickle, sys
        message = pickle.load(sys.stdin.buffer)
        print(type(message).__module__, type(message).__qualname__, "image" in str(message))
        """,
        stdin=pickled,
    )
    assert loaded.decode().split() == ["naiad.protocol.generated.grpc_service_pb2", kind, "True"]


def test_the_protocol_imports_no_grpc_and_no_package_of_grpc() -> None:
    run("""
        import sys
        for package in ("grpc", "grpc_health", "grpc_reflection", "grpc_status", "tritonclient"):
            sys.modules[package] = None  # importing it fails
        import naiad.protocol
    """)


def test_grpcs_own_health_and_reflection_can_be_imported_beside_ours() -> None:
    run(
        NAIAD,
        "from grpc_health.v1 import health_pb2",
        "from grpc_reflection.v1alpha import reflection_pb2",
        "assert health_pb2.HealthCheckRequest is not naiad.protocol.health_pb2.HealthCheckRequest",
    )


def test_importing_the_package_imports_nothing_but_itself() -> None:
    loaded = run("""
        import sys
        before = set(sys.modules)
        import naiad
        print(*sorted(set(sys.modules) - before))
    """)
    assert loaded.decode().split() == ["naiad"]
