"""tritonserver's command lines as people have them: each starts Naiad, or is refused for what it asks for.

The lines are those that documentation, charts and launchers of the wild have, with what each is for in our own words.
Ports become free ones, addresses 127.0.0.1, and the directory of models one with a model `echo` and an ONNX model
`bare` that has no config.
"""

import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tritonclient.grpc import service_pb2

from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server, command
from tests.models.build import add_sub

CANNOT_START = 2
LEAST = 20
PORT = re.compile(r"(--[a-z-]*port[= ])\d+")
WARNING = re.compile(r"^\S+ \[warning *\] *(?:(--[a-z-]+)|.*)", re.MULTILINE)


class Line(NamedTuple):
    """flags: {models} stands for the directory. warned: the flags of which the log has a warning, and all that it has.

    refused: the flag that the one line on stderr begins with, and a part of what it says; nothing where it starts.
    batch: the max_batch_size that `bare` gets; None where it is not served. empty: nothing is served until a client
    loads it.
    """

    flags: str
    warned: frozenset[str] = frozenset()
    refused: tuple[str, str] = ("", "")
    batch: int | None = 4
    empty: bool = False


def warned(*flags: str) -> frozenset[str]:
    return frozenset(flags)


LINES = {
    "the first command of the quick start": Line("--model-repository={models}"),
    "a laptop without a GPU, values as words of their own": Line(
        "--model-repository {models} --strict-readiness false --exit-on-error false --log-verbose 1 --http-port 8000"
    ),
    "a compose file of two repositories": Line(
        "--model-repository={models} --model-repository={models}/../more --http-address=0.0.0.0 --grpc-address=0.0.0.0"
    ),
    "KServe's serving runtime": Line(
        "--model-store={models} --grpc-port=9000 --http-port=8080 --allow-grpc=true --allow-http=true"
    ),
    "Seldon's first graph server": Line(
        "--grpc-port=9500 --http-port=9000 --model-repository={models} --strict-model-config=false"
    ),
    "Seldon's second, which loads models by request": Line(
        "--model-repository={models} --http-port=9000 --grpc-port=9500 --log-verbose=1 --model-control-mode=explicit",
        empty=True,
    ),
    "ModelMesh's runtime": Line(
        "--model-repository={models} --model-control-mode=explicit --strict-model-config=false "
        "--strict-readiness=false --allow-http=true --allow-sagemaker=false",
        empty=True,
    ),
    "a security pipeline that loads one model": Line(
        "--model-repository={models} --exit-on-error=false --model-control-mode=explicit --load-model echo",
        batch=None,
    ),
    "everything, by the explicit mode": Line(
        "--model-repository={models} --model-control-mode=EXPLICIT --load-model=*"
    ),
    "a chart that writes every number as a boolean or leaves it empty": Line(
        "--model-repository={models} --log-verbose=true --id= --log-file= --model-load-thread-count=0 "
        "--grpc-keepalive-time=0 --grpc-max-connection-age=-1 --metrics-interval-ms=500.5"
    ),
    "a chart that writes over the values it begins with": Line(
        "--model-repository={models} --grpc-use-ssl=true --grpc-use-ssl=false --trace-level=TIMESTAMPS "
        "--trace-level=OFF"
    ),
    "ONNX models on a machine of many": Line(
        "--model-repository={models} --backend-config=onnxruntime,intra_op_thread_count=2 "
        "--backend-config=onnxruntime,inter_op_thread_count=1 --backend-config=onnxruntime,enable-global-threadpool=1 "
        "--backend-config=default-max-batch-size=32",
        warned("--backend-config"),
        batch=32,
    ),
    "configs as they are written, by the flag's old name": Line(
        "--model-repository={models} --strict-model-config=true", batch=None
    ),
    "ONNX models with threads that are no number": Line(
        "--model-repository={models} --backend-config=onnxruntime,intra_op_thread_count=many",
        refused=("--backend-config", "onnxruntime,intra_op_thread_count: got 'many', expected a whole number"),
    ),
    "a directory that a chart has left empty": Line(
        "--model-repository=", refused=("--model-repository", "got '', expected a directory of models")
    ),
    "a launcher of language models": Line(
        "--model-repository={models} --http-port 8000 --grpc-port=8001 --metrics-port=8002 --log-verbose=3 "
        "--disable-auto-complete-config --backend-config=python,shm-region-prefix-name=prefix0_",
        warned("--backend-config"),
        batch=None,
    ),
    "a recommender with TensorFlow models": Line(
        "--model-repository={models} --backend-config=tensorflow,version=2 --model-control-mode=explicit "
        "--load-model=echo --log-verbose=1",
        warned("--backend-config"),
        batch=None,
    ),
    "a board with an old GPU": Line(
        "--model-repository={models} --backend-directory=/opt/tritonserver/backends "
        "--min-supported-compute-capability=5.3 --backend-config=onnxruntime,default-max-batch-size=8",
        warned("--backend-directory", "--min-supported-compute-capability"),
        batch=8,
    ),
    "a benchmark that turns every knob": Line(
        "--model-repository={models} --http-thread-count=16 --grpc-infer-allocation-pool-size=16 "
        "--pinned-memory-pool-byte-size=268435456 --cuda-memory-pool-byte-size=0:67108864 "
        "--cuda-memory-pool-byte-size=1:67108864 --buffer-manager-thread-count=4 --allow-metrics=false",
        warned(
            "--http-thread-count",
            "--grpc-infer-allocation-pool-size",
            "--pinned-memory-pool-byte-size",
            "--cuda-memory-pool-byte-size",
            "--buffer-manager-thread-count",
        ),
    ),
    "a cache in memory": Line(
        "--model-repository={models} --cache-config local,size=1048576", warned("--cache-config")
    ),
    "a cache in Redis": Line(
        "--model-repository={models} --cache-config=redis,host=redis --cache-config=redis,port=6379",
        warned("--cache-config"),
    ),
    "a cache by its old name": Line(
        "--model-repository={models} --response-cache-byte-size=1048576", warned("--response-cache-byte-size")
    ),
    "instances that share what there is": Line(
        "--model-repository={models} --rate-limit=execution_count --rate-limit-resource=R1:10 "
        "--rate-limit-resource=R2:5:0",
        warned("--rate-limit", "--rate-limit-resource"),
    ),
    "processors near their GPU": Line(
        "--model-repository={models} --host-policy=gpu_0,numa-node=0 --host-policy=gpu_0,cpu-cores=0-15",
        warned("--host-policy"),
    ),
    "traces into a file": Line(
        "--model-repository={models} --trace-config triton,file=/tmp/trace.json --trace-config level=TIMESTAMPS "
        "--trace-config rate=100",
        warned("--trace-config"),
    ),
    "traces to a collector": Line(
        "--model-repository={models} --trace-config=mode=opentelemetry "
        "--trace-config=opentelemetry,url=collector:4318/v1/traces",
        warned("--trace-config"),
    ),
    "metrics with histograms, and none of GPUs": Line(
        "--model-repository={models} --metrics-config histogram_latencies=true --metrics-interval-ms=1000 "
        "--allow-gpu-metrics=False --allow-cpu-metrics=1 --metrics-address 0.0.0.0"
    ),
    "metrics with quantiles": Line(
        "--model-repository={models} --metrics-config summary_latencies=true "
        "--metrics-config=summary_quantiles=0.5:0.05,0.9:0.01",
        warned("--metrics-config"),
    ),
    "clients behind a load balancer": Line(
        "--model-repository={models} --grpc-keepalive-time=10000 --grpc-keepalive-timeout=20000 "
        "--grpc-keepalive-permit-without-calls=1 --grpc-http2-max-pings-without-data=0 "
        "--grpc-http2-min-recv-ping-interval-without-data=10000 --grpc-http2-max-ping-strikes=0 "
        "--grpc-max-connection-age=60000 --grpc-max-connection-age-grace=10000 "
        "--grpc-infer-response-compression-level=low"
    ),
    "several servers on one port": Line(
        "--model-repository={models} --reuse-http-port=1 --reuse-grpc-port=1 --id=replica-1"
    ),
    "logs with ISO times and a patient end": Line(
        "--model-repository={models} --log-format=ISO8601 --log-info=1 --log-warning=1 --log-error=1 "
        "--exit-timeout-secs=60 --model-load-thread-count=8 --model-load-retry-count=2"
    ),
    "a config for one kind of GPU": Line("--model-repository={models} --model-config-name=h100"),
    "flags that switch off what is off": Line(
        "--model-repository={models} --grpc-use-ssl=false --grpc-use-ssl-mutual=false --model-namespacing=false "
        "--rate-limit=off --trace-config=level=OFF --enable-peer-access=true --allow-vertex-ai=false"
    ),
    "an old chart for a cluster that polls": Line(
        "--model-store={models} --model-control-mode=poll --repository-poll-secs=5"
    ),
    "a chart with models in a cloud's storage": Line(
        "--model-store=gs://a-bucket/models --strict-model-config=false --log-verbose=1 --allow-gpu-metrics=True",
        refused=("--model-store", "storage of gs:// are not fetched yet"),
    ),
    "a secured server whose key was forgotten": Line(
        "--model-repository={models} --grpc-use-ssl=1 --grpc-server-cert server.crt --grpc-root-cert ca.crt",
        refused=("--grpc-use-ssl", "expected --grpc-server-key beside it"),
    ),
    "a server whose clients prove who they are to nobody": Line(
        "--model-repository={models} --grpc-use-ssl-mutual=true --grpc-server-cert server.crt "
        "--grpc-server-key server.key",
        refused=("--grpc-use-ssl-mutual", "expected --grpc-root-cert beside it"),
    ),
    "a chart that names certificates and leaves TLS off": Line(
        "--model-repository={models} --grpc-use-ssl=false --grpc-server-cert=/certs/tls.crt "
        "--grpc-server-key=/certs/tls.key --grpc-root-cert=",
        warned("--grpc-server-cert", "--grpc-server-key"),
    ),
    "loading and traces for the administrator alone": Line(
        "--model-repository={models} --grpc-restricted-protocol=model-repository,trace:admin-key=admin-value",
        refused=("--grpc-restricted-protocol", "cannot be restricted yet"),
    ),
    "the same over HTTP": Line(
        "--model-repository={models} --http-restricted-api=model-repository:admin-key=admin-value",
        refused=("--http-restricted-api", "cannot be restricted yet"),
    ),
    "headers for the models": Line(
        "--model-repository={models} --grpc-header-forward-pattern (?i)x-user-.*",
        refused=("--grpc-header-forward-pattern", "not handed to models"),
    ),
    "an endpoint of SageMaker": Line(
        "--allow-sagemaker=true --model-repository={models} --sagemaker-port=8080 --strict-readiness=false "
        "--model-control-mode=explicit --load-model=echo",
        refused=("--allow-sagemaker", "not available"),
    ),
    "an endpoint of Vertex AI": Line(
        "--model-repository={models} --allow-vertex-ai=true --strict-model-config=false",
        refused=("--allow-vertex-ai", "not available"),
    ),
    "repositories with the same names in them": Line(
        "--model-repository={models} --model-namespacing=true",
        refused=("--model-namespacing", "unique across repositories"),
    ),
    "models that must not fill a GPU": Line(
        "--model-repository={models} --model-load-gpu-limit 0:0.8",
        refused=("--model-load-gpu-limit", "not watched"),
    ),
    "tensors in shared memory": Line(
        "--model-repository={models} --allow-client-shm=true",
        refused=("--allow-client-shm", "shared memory is not available yet"),
    ),
}
STARTED = {name: line for name, line in LINES.items() if not line.refused[0]}
REFUSED = {name: line for name, line in LINES.items() if line.refused[0]}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    identity(tmp_path / "more", "another")
    add_sub(tmp_path / "models" / "bare" / "1" / "model.onnx")
    return identity(tmp_path / "models", "echo")


def arguments(line: Line, models: Path) -> list[str]:
    text = PORT.sub(r"\g<1>0", line.flags).replace("0.0.0.0", "127.0.0.1")  # noqa: S104 -- none is listened on
    return [argument.format(models=models) for argument in shlex.split(text)]


def batch_of_bare(server: Server) -> int | None:
    """The max_batch_size that `bare` was given, which also has the inputs of its graph; None if it is not served."""
    if not server.stub.ModelReady(service_pb2.ModelReadyRequest(name="bare"), timeout=PATIENCE).ready:
        return None
    config = server.stub.ModelConfig(service_pb2.ModelConfigRequest(name="bare"), timeout=PATIENCE).config
    assert (config.backend, [tensor.name for tensor in config.input]) == ("onnxruntime", ["INPUT0", "INPUT1"])
    batch: int = config.max_batch_size
    return batch


def test_there_are_enough_of_both_kinds() -> None:
    assert len(STARTED) >= LEAST
    assert len(REFUSED) >= LEAST / 2


@pytest.mark.parametrize("line", list(STARTED.values()), ids=list(STARTED))
def test_a_command_line_of_tritonserver_starts_a_server(line: Line, models: Path) -> None:
    with Server(flags=arguments(line, models)) as server:
        server.line(re.compile(r"\] ready"))
        if line.empty:
            server.load("echo")
            server.load("bare")
        (data,) = server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE).raw_output_contents
        assert len(data) == 4
        assert batch_of_bare(server) == line.batch
        assert {match[1] for match in WARNING.finditer(server.log)} == line.warned


@pytest.mark.parametrize("line", list(REFUSED.values()), ids=list(REFUSED))
def test_a_command_line_that_cannot_be_honoured_is_refused_in_one_line(line: Line, models: Path) -> None:
    flag, why = line.refused
    done = subprocess.run(
        command("serve", *arguments(line, models)), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == CANNOT_START
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"naiad serve: {flag}: ")
    assert why in told
