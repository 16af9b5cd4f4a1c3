"""Clients that load, unload, list and ask for the same models, all at once: every call and how it ended is counted."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import grpc
from tritonclient.grpc import service_pb2 as wire

from tests.e2e.models import ask
from tests.e2e.server import PATIENCE, Server

NEWER = "Newer operation has been applied to the model lifecycle, current load operation is out-dated."
GIVEN_BYTES = 10_000
_TENSOR = {"data_type": "TYPE_FP32", "dims": [1]}


class Storm:
    """Over models as tests.e2e.models.identity writes them.

    seen: how often each verb ended with each code. texts: all that was told of those that failed.
    """

    def __init__(self, server: Server, models: Sequence[str]) -> None:
        self._server = server
        self._models = models
        self._lock = threading.Lock()
        self.seen: Counter[tuple[str, str]] = Counter()
        self.texts: set[tuple[str, str]] = set()

    def rage(self, seconds: float, threads: int = 8) -> None:
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(threads) as pool:
            for blown in [pool.submit(self._blow, seed, until) for seed in range(threads)]:
                blown.result()

    def _blow(self, seed: int, until: float) -> None:
        random = Random(seed)  # noqa: S311 - chance, not secrets
        while time.monotonic() < until:
            verb, model = random.choice(("load", "unload", "index", "infer", "infer")), random.choice(self._models)
            try:
                self._call(verb, model, random)
            except grpc.RpcError as error:
                self._saw(verb, error.code().name, error.details() or "")
            else:
                self._saw(verb, "OK")

    def _call(self, verb: str, model: str, random: Random) -> None:
        stub = self._server.stub
        if verb == "load":
            stub.RepositoryModelLoad(load(model, random), timeout=PATIENCE)
        elif verb == "unload":
            stub.RepositoryModelUnload(wire.RepositoryModelUnloadRequest(model_name=model), timeout=PATIENCE)
        elif verb == "index":
            stub.RepositoryIndex(wire.RepositoryIndexRequest(), timeout=PATIENCE)
        else:
            stub.ModelInfer(ask(model, 1), timeout=PATIENCE)

    def _saw(self, verb: str, code: str, text: str = "") -> None:
        with self._lock:
            self.seen[verb, code] += 1
            if text:
                self.texts.add((verb, text))


def load(model: str, random: Random) -> wire.RepositoryModelLoadRequest:
    """A load as the model is on the disk, with another config, or with another config and a file."""
    message = wire.RepositoryModelLoadRequest(model_name=model)
    given = random.choice(("nothing", "config", "file"))
    if given != "nothing":
        config = {"backend": "identity", "max_batch_size": random.randrange(2, 5)}
        config |= {"input": [{"name": "INPUT0", **_TENSOR}], "output": [{"name": "OUTPUT0", **_TENSOR}]}
        message.parameters["config"].string_param = json.dumps(config)
    if given == "file":
        message.parameters["file:1/weights.bin"].bytes_param = b"w" * GIVEN_BYTES
    return message
