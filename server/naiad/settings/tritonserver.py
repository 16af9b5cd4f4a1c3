"""tritonserver's flags that are no settings here, each with what becomes of it and why: one table for code and docs.

What only tunes is accepted with a warning. What protects, or changes what clients get, and is not there, is refused
as soon as its value asks for it; a value that asks for nothing (`--allow-sagemaker=false`) is accepted silently. Flags
that are settings here mean what they mean there; docs/compatibility.md has the defaults that differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from naiad.settings.given import Flag, Given

YES = frozenset({"true", "on", "1", "yes", "y", "t"})
NO = frozenset({"false", "off", "0", "no", "n", "f"})


class Verdict(Enum):
    """What becomes of a flag whose value asks for something."""

    ALREADY = "accepted: nothing to do"
    NO_EFFECT = "accepted with a warning"
    REFUSED = "refused"


class Foreign(NamedTuple):
    """A flag of tritonserver. nothing: values, in lower case, that ask for nothing; booleans have NO as well."""

    name: str
    verdict: Verdict
    why: str
    boolean: bool = False
    nothing: frozenset[str] = frozenset()

    @property
    def flag(self) -> Flag:
        return Flag(self.name, "", self.boolean, self.name in REPEATING)


class Judged(NamedTuple):
    """What becomes of flags that are no settings: one line for each of which something is to be said."""

    warnings: list[str]
    refusals: list[str]


REPEATING = frozenset({
    "cache-config", "cuda-memory-pool-byte-size", "cuda-virtual-address-size", "grpc-restricted-protocol",
    "host-policy", "http-restricted-api", "model-load-gpu-limit", "rate-limit-resource", "trace-config",
})  # fmt: skip
"""Those that may be given several times, each value beside the others; of the rest the last counts."""


ALIASES = {"model-store": "model_repository", "strict-model-config": "disable_auto_complete_config"}
"""Further names that tritonserver has for settings."""

OWN = frozenset({
    "access-log", "allow-code-upload", "config-file", "grpc-handshake-timeout", "grpc-max-concurrent-streams",
    "grpc-max-connection-idle", "grpc-max-message-size", "grpc-max-metadata-size", "grpc-transport", "log-level",
    "max-bytes-in-flight", "max-queue-size", "model-load-timeout-secs", "repository-settle-secs",
    "rollback-error-rate", "rollback-window-secs", "shutdown-delay-secs", "swap",
})  # fmt: skip
"""Settings that tritonserver does not have."""

_RESTRICTED = "APIs cannot be restricted yet: do it in a proxy in front of the server"
_FORWARDED = "headers are not handed to models"
_TRACES = "requests are not traced; --access-log writes a line for each, with its trace id"
_CACHE = "responses are not cached, every request runs its model"
_MEMORY = "the frameworks manage their memory themselves"
_LIMITER = "there is no rate limiter, an instance runs as soon as it is free"
_POOL = "requests and responses are not kept for reuse"
_SAGEMAKER = "the endpoints of SageMaker are not available: ask over gRPC"
_VERTEX = "the endpoints of Vertex AI are not available: ask over gRPC"


def _no_effect(why: str, *names: str, nothing: Iterable[str] = ()) -> list[Foreign]:
    return [Foreign(name, Verdict.NO_EFFECT, why, nothing=frozenset(nothing)) for name in names]


def _refused(why: str, *names: str, boolean: bool = False) -> list[Foreign]:
    return [Foreign(name, Verdict.REFUSED, why, boolean, frozenset({""})) for name in names]


FOREIGN: tuple[Foreign, ...] = (
    Foreign("enable-peer-access", Verdict.ALREADY, "nothing is copied between GPUs", boolean=True),
    *_no_effect("HTTP is served by one event loop", "http-thread-count"),
    *_no_effect("HTTP takes no inference requests yet", "http-max-input-size"),
    *_no_effect("gRPC is served by one event loop, which hands requests over in bulk", "grpc-infer-thread-count"),
    *_no_effect(_POOL, "grpc-infer-allocation-pool-size", "grpc-max-response-pool-size"),
    *_no_effect(_TRACES, "trace-config", nothing=["level=off"]),
    *_no_effect(_TRACES, "trace-level", nothing=["off"]),
    *_no_effect(_TRACES, "trace-file", "trace-rate", "trace-count", "trace-log-frequency"),
    *_no_effect(_CACHE, "cache-config", "cache-directory"),
    *_no_effect(_CACHE, "response-cache-byte-size", nothing=["0"]),
    *_no_effect(_LIMITER, "rate-limit", nothing=["off"]),
    *_no_effect(_LIMITER, "rate-limit-resource"),
    *_no_effect(_MEMORY, "pinned-memory-pool-byte-size", "cuda-memory-pool-byte-size", "cuda-virtual-address-size"),
    *_no_effect("inputs are gathered by the thread that runs the batch", "buffer-manager-thread-count", nothing=["0"]),
    *_no_effect("every GPU that a framework can use counts", "min-supported-compute-capability"),
    *_no_effect("threads are not bound: use numactl, or the container's set of CPUs", "host-policy"),
    *_no_effect("backends are Python packages, installed with pip", "backend-directory"),
    *_no_effect("there are no repository agents", "repoagent-directory"),
    *_no_effect(
        "it counts with --allow-sagemaker only", "sagemaker-port", "sagemaker-safe-port-range", "sagemaker-thread-count"
    ),
    *_no_effect(
        "it counts with --allow-vertex-ai only", "vertex-ai-port", "vertex-ai-thread-count", "vertex-ai-default-model"
    ),
    *_refused(_RESTRICTED, "grpc-restricted-protocol", "http-restricted-api"),
    *_refused(_FORWARDED, "grpc-header-forward-pattern", "http-header-forward-pattern"),
    *_refused("shared memory is not available yet: clients send tensors in messages", "allow-client-shm", boolean=True),
    *_refused("a model's name must be unique across repositories", "model-namespacing", boolean=True),
    *_refused("the memory of GPUs is not watched while models load", "model-load-gpu-limit"),
    *_refused(_SAGEMAKER, "allow-sagemaker", boolean=True),
    *_refused(_VERTEX, "allow-vertex-ai", boolean=True),
)

_BY_NAME = {foreign.name: foreign for foreign in FOREIGN}


def judge(given: Iterable[Given]) -> Judged:
    """What becomes of flags that are no settings; each comes once, with the values that count."""
    judged = Judged([], [])
    for flag, texts, origin in given:
        foreign = _BY_NAME[flag.name]
        wrong = [text for text in texts if foreign.boolean and text.lower() not in YES | NO]
        asking = [text for text in texts if not _asks_for_nothing(foreign, text)]
        if wrong:
            judged.refusals.append(f"{origin}: got {wrong[0]!r}, expected true or false")
        elif asking and foreign.verdict is Verdict.REFUSED:
            judged.refusals.append(f"{origin}: got {asking[0]!r}, which cannot be honoured: {foreign.why}")
        elif asking and foreign.verdict is Verdict.NO_EFFECT:
            judged.warnings.append(f"{origin} has no effect: {foreign.why}")
    return judged


def _asks_for_nothing(foreign: Foreign, value: str) -> bool:
    return value.lower() in foreign.nothing or (foreign.boolean and value.lower() in NO)
