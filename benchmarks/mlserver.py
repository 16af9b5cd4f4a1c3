"""MLServer beside Naiad: the same ONNX file in a small runtime of ours (mlserver_runtime.py).

MLServer comes from PyPI into an environment of its own. Its options are those that cost it least here: no worker
process, and no adaptive batching, which made a batch of what is on the way no cheaper and one request dearer.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import models, peers, servers
from benchmarks.servers import Server
from naiad.protocol import grpc_service_pb2 as pb
from naiad.protocol import model_config_pb2 as mc

MLSERVER = "1.7.1"
REQUIREMENTS = (
    f"mlserver=={MLSERVER}",
    "uvloop==0.21.0",  # with a newer one this MLServer's worker processes do not start
    f"onnxruntime=={version('onnxruntime')}",
)
MAIN, RUNTIME = "mlserver_main.py", "mlserver_runtime.py"
NAME = f"MLServer {MLSERVER}"
NOTE = (
    f"{NAME} runs the same file in a runtime of ours, with as many threads for a run as Naiad gives this model (one), "
    "without worker processes and without adaptive batching."
)


@contextmanager
def started(file: Path, model: str) -> Iterator[Server]:
    """MLServer with the model ready; NotHereError where it cannot be had."""
    python = peers.python("mlserver", REQUIREMENTS)
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile("w+") as log:
        port = _write(Path(directory), file, model)
        command = [str(python), f"{directory}/{MAIN}", "start", directory]
        with subprocess.Popen(command, cwd=directory, stdout=log, stderr=log) as process:
            server = Server(NAME, f"127.0.0.1:{port}", process.pid)
            try:
                servers.wait_until_ready(server)
                yield server
            except RuntimeError as error:
                log.seek(0)
                raise RuntimeError(f"{error}\n{log.read()[-servers.WORDS_SHOWN :]}") from error
            finally:
                servers.end(process)


def _write(directory: Path, file: Path, model: str) -> int:
    """Write what MLServer reads and what it does not answer itself; gives the port for gRPC."""
    ports = _free_ports(3)
    settings = dict(zip(("grpc_port", "http_port", "metrics_port"), ports, strict=True))
    _dump(directory / "settings.json", {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **settings})
    for script in (MAIN, RUNTIME):  # copied, since modules here hide those of the same name there
        shutil.copy(Path(__file__).with_name(script), directory)
    width, classes = models.MLP_SIZES[0], models.MLP_SIZES[-1]
    about = {
        "name": model,
        "implementation": "mlserver_runtime.OnnxModel",
        "parameters": {"uri": str(file), "version": "1"},
        "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [-1, width]}],
        "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [-1, classes]}],
    }
    _dump(directory / "model-settings.json", about)
    config = mc.ModelConfig(name=model, max_batch_size=64)
    config.input.add(name="INPUT0", data_type=mc.TYPE_FP32, dims=[width])
    config.output.add(name="OUTPUT0", data_type=mc.TYPE_FP32, dims=[classes])
    statistics = pb.ModelStatisticsResponse()
    statistics.model_stats.add(name=model, version="1")
    (directory / "ModelConfig").write_bytes(pb.ModelConfigResponse(config=config).SerializeToString())
    (directory / "ModelStatistics").write_bytes(statistics.SerializeToString())
    return ports[0]


def _dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: MLServer does not say which one it got for 0."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
