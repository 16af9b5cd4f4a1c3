"""The client lives in one process with other clients and with the server, whichever is imported first."""

import subprocess
import sys
import textwrap
from itertools import permutations

import pytest

IMPORTS = {
    "naiad_client": "import naiad_client.protocol",
    "tritonclient": "import tritonclient.grpc",
    "naiad": "import naiad.protocol",
}

USE = """
    import copy, pickle
    import numpy as np
    from naiad.protocol import grpc_service_pb2 as servers
    from naiad_client.protocol import grpc_service_pb2 as ours
    from tritonclient.grpc import InferInput, service_pb2 as theirs
    from naiad_client import ModelMetadata, TensorMetadata, requests

    model = ModelMetadata("m", ("1",), "", (TensorMetadata("x", "FP32", (-1,)),), ())
    request = requests.build(model, [1.0, 2.0], {"parameters": {"priority": 3}})
    for copied in (pickle.loads(pickle.dumps(request.inputs[0])), copy.deepcopy(request.inputs[0])):
        assert type(copied) is type(request.inputs[0]) and copied == request.inputs[0]
    for other in (servers, theirs):
        assert type(request) is not other.ModelInferRequest
        assert other.ModelInferRequest.FromString(request.SerializeToString()).parameters["priority"].int64_param == 3
    tensor = InferInput("x", [2], "FP32").set_data_from_numpy(np.float32([1, 2]))
    assert tensor._get_content() == request.raw_input_contents[0]
"""


def run(*parts: str) -> str:
    """Run a fresh interpreter, warnings as errors, and return what it wrote."""
    program = "\n".join(map(textwrap.dedent, parts))
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("order", list(permutations(IMPORTS)), ids=" then ".join)
def test_all_three_work_in_one_process(order: tuple[str, ...]) -> None:
    run(*(IMPORTS[name] for name in order), USE)


def test_the_client_needs_no_server_and_nothing_that_it_does_not_declare() -> None:
    loaded = run("""
        import sys
        for package in ("naiad", "tritonclient", "ml_dtypes", "grpc_health", "grpc_reflection", "grpc_tools"):
            sys.modules[package] = None  # importing it fails, which grpc survives
        before = set(sys.modules)
        import naiad_client
        print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
    """)
    found = {name for name in loaded.split() if "cython" not in name}
    assert found - {"typing_extensions"} == {"naiad_client", "grpc", "google", "numpy"}
