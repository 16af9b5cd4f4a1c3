"""Serve a model over the native transport, and get one right answer: `PYTHON -I smoke.py DIRECTORY`.

PYTHON is of an environment that has naiad's wheel and what it asks for, and nothing else; the model is written to
DIRECTORY. Prints what was seen, and ends with another code than 0 when something was not as it must be.
"""

import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

import naiad
from naiad import _native
from naiad.protocol import grpc_service_pb2 as pb

SECONDS = 60.0
"""Seconds after which what must happen counts as a hang."""
LISTENS = re.compile(r"gRPC on (\S+:\d+)")
READY = re.compile(r"\bready\s*$")
CONFIG = """\
backend: "identity"
input { name: "INPUT0" data_type: TYPE_FP32 dims: [3] }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [3] }
"""
SENT = struct.pack("<3f", 1.5, -2.0, 3.25)


def main(directory: Path) -> None:
    built = Path(_native.__file__)
    assert built.is_relative_to(sys.prefix), f"{built} is not of the environment {sys.prefix}"
    (directory / "echo/1").mkdir(parents=True)
    (directory / "echo/config.pbtxt").write_text(CONFIG)
    with served(directory) as address:
        received = echoed(address)
    assert received == SENT, f"the model was sent {SENT!r} and answered {received!r}"
    python = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(f"Python {python}: naiad {naiad.__version__} with {built.name} served a request\n")


@contextmanager
def served(repository: Path) -> Iterator[str]:
    """A server of the repository, which must end well; gives where it listens."""
    ports = ["--grpc-port=0", "--http-port=0", "--metrics-port=0"]
    command = [f"{sys.prefix}/bin/naiad", "serve", f"--model-repository={repository}", *ports]
    with subprocess.Popen([*command, "--grpc-transport=native"], stderr=subprocess.PIPE, text=True) as server:
        hanging = threading.Timer(SECONDS, server.kill)
        hanging.start()
        assert server.stderr is not None
        log = ""
        for line in server.stderr:
            log += line
            if READY.search(line):
                break
        listens = LISTENS.search(log)
        try:
            assert listens, f"the server did not start\n{log}"
            yield listens.group(1)
            server.send_signal(signal.SIGTERM)
            log += server.stderr.read()
            assert server.wait() == 0, f"the server ended with {server.returncode}\n{log}"
        finally:
            hanging.cancel()
            server.kill()


def echoed(address: str) -> bytes:
    """Return what the model answers to SENT."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="INPUT0", datatype="FP32", shape=[3])
    request = pb.ModelInferRequest(model_name="echo", inputs=[tensor], raw_input_contents=[SENT])
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        response: pb.ModelInferResponse = method(request, timeout=SECONDS)
    return response.raw_output_contents[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
