"""Scenarios: whether the server and its models live, are ready, are listed and healthy."""

from collections.abc import Callable

from tritonclient.grpc import service_pb2 as wire

from tests.conformance.lookups import not_a_number
from tests.conformance.observation import ok, refused
from tests.conformance.scenario import Lines, Scenario, reads
from tests.conformance.target import Target


def ready(name: str, version: str = "") -> Callable[[Target], Lines]:
    message = wire.ModelReadyRequest(name=name, version=version)
    return lambda target: [f"ready: {target.call('ModelReady', message).ready}"]


def index(ready_only: bool, *names: str) -> Callable[[Target], Lines]:
    def call(target: Target) -> Lines:
        reply = target.call("RepositoryIndex", wire.RepositoryIndexRequest(ready=ready_only))
        listed = sorted(reply.models, key=lambda each: (each.name, each.version))
        for each in listed:
            if each.name in names:
                why = "with a reason" if each.reason else "without a reason"
                yield f"{each.name} version {each.version!r} {each.state} {why}"

    return call


def repository_named(target: Target) -> Lines:
    target.call("RepositoryIndex", wire.RepositoryIndexRequest(repository_name="mine"))
    return []


def health(service: str) -> Callable[[Target], Lines]:
    return lambda target: [target.health(service)]


def watch(service: str) -> Callable[[Target], Lines]:
    return lambda target: [target.first_health(service)]


ONE_HEALTH = "Triton's health knows one service, whatever it is asked for; Naiad has one for each model"
NO_WATCH = refused("UNIMPLEMENTED", "")

READINESS: tuple[Scenario, ...] = (
    reads(
        "server.live",
        "the server lives",
        lambda target: [f"live: {target.call('ServerLive', wire.ServerLiveRequest()).live}"],
        ok("live: True"),
    ),
    reads(
        "server.ready",
        "the server is ready",
        lambda target: [f"ready: {target.call('ServerReady', wire.ServerReadyRequest()).ready}"],
        ok("ready: True"),
    ),
    reads("ready.known", "a model that serves is ready", ready("simple"), ok("ready: True")),
    reads("ready.version", "a version that serves is ready", ready("versions", "2"), ok("ready: True")),
    reads(
        "ready.other_version", "a version that is not there is not ready", ready("versions", "9"), ok("ready: False")
    ),
    reads("ready.unknown", "a model that is nowhere is not ready", ready("nowhere"), ok("ready: False")),
    reads("ready.broken", "a model that did not load is not ready", ready("broken"), ok("ready: False")),
    reads(
        "ready.bad_version",
        "a version that is no number",
        ready("simple", "abc"),
        not_a_number("abc"),
    ),
    reads(
        "index.all",
        "every model with its versions",
        index(False, "simple", "versions", "broken"),
        ok(
            "broken version '1' UNAVAILABLE with a reason",
            "simple version '1' READY without a reason",
            "versions version '2' READY without a reason",
            "versions version '5' READY without a reason",
        ),
    ),
    reads(
        "index.ready",
        "only what is ready",
        index(True, "simple", "broken"),
        ok("simple version '1' READY without a reason"),
    ),
    reads(
        "index.repository",
        "the index of a named repository",
        repository_named,
        refused("UNIMPLEMENTED", "'repository_name' specification is not supported"),
    ),
    reads("health.server", "gRPC health of the server", health(""), ok("SERVING")),
    reads("health.service", "of the service", health("inference.GRPCInferenceService"), ok("SERVING")),
    reads("health.model", "of a model", health("simple"), ok("SERVING")),
    reads(
        "health.broken", "of a model that did not load", health("broken"), ok("NOT_SERVING"), ok("SERVING"), ONE_HEALTH
    ),
    reads(
        "health.unknown",
        "of a model that is nowhere",
        health("nowhere"),
        refused("NOT_FOUND", "unknown service 'nowhere': expected a model's name, nothing for the server"),
        ok("SERVING"),
        ONE_HEALTH,
    ),
    reads("health.watch", "the first word of a watch", watch("simple"), ok("SERVING"), NO_WATCH, "Triton has no Watch"),
    reads(
        "health.watch_unknown",
        "the first word about a model that is nowhere",
        watch("nowhere"),
        ok("SERVICE_UNKNOWN"),
        NO_WATCH,
        "Triton has no Watch",
    ),
)
