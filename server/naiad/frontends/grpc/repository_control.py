"""RepositoryModelLoad and RepositoryModelUnload: answered when what they ask for is done, and not before.

A call that is taken back takes nothing back: what it asked for is done all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from google.protobuf.message import Message

from naiad.core.engine import Done, Engine, Overrides
from naiad.core.errors import InvalidArgument, NaiadError, Unimplemented
from naiad.frontends.grpc import load_request
from naiad.frontends.grpc.dispatch import Unary, failure, parse
from naiad.frontends.grpc.transport import OK, Buffer, Call, Reply
from naiad.protocol import grpc_service_pb2 as pb

CONFIG, FILE, DEPENDENTS = "config", "file:", "unload_dependents"


class RepositoryControl:
    """The handlers, by the RPC's name. index: tells the repository's index as it was published last."""

    def __init__(self, engine: Engine, send: Callable[[Sequence[Reply]], None], index: Unary) -> None:
        self._engine = engine
        self._send = send
        self._published = index
        self.handlers: dict[str, Unary] = {
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }

    def _index(self, call: Call, message: Buffer) -> Reply | None:
        """Where nobody watches what is on the disk, that is looked at first."""

        def looked(_: NaiadError | None) -> None:
            try:
                reply = self._published(call, message)
            except NaiadError as error:
                reply = failure(call, error)
            if reply is not None:
                self._send([reply])

        return None if self._engine.look(looked) else self._published(call, message)

    def _load(self, call: Call, message: Buffer) -> None:
        request, large = load_request.read(message)
        name = _model(request.repository_name, request.model_name)
        overrides = _overrides(request.parameters, large)
        self._engine.load(name, overrides, self._answer(call, pb.RepositoryModelLoadResponse()))

    def _unload(self, call: Call, message: Buffer) -> None:
        request = parse(pb.RepositoryModelUnloadRequest, message)
        name = _model(request.repository_name, request.model_name)
        dependents = request.parameters.get(DEPENDENTS)
        if dependents is not None and dependents.WhichOneof("parameter_choice") != "bool_param":
            raise InvalidArgument(f"invalid value type for '{DEPENDENTS}' parameter, expected bool_param.")
        self._engine.unload(name, self._answer(call, pb.RepositoryModelUnloadResponse()))

    def _answer(self, call: Call, response: Message) -> Done:
        def done(error: NaiadError | None) -> None:
            reply = Reply(call, (response.SerializeToString(),), OK) if error is None else failure(call, error)
            self._send([reply])

        return done


def _model(repository: str, model: str) -> str:
    if repository:
        raise Unimplemented("'repository_name' specification is not supported")
    return model


def _overrides(parameters: Mapping[str, pb.ModelRepositoryParameter], large: Mapping[str, Buffer]) -> Overrides:
    """What parameters give; large: those that are bytes and were left where they are."""
    config, files = "", dict[str, Buffer]()
    for key in (*parameters, *large):
        kind = "bytes_param" if key in large else parameters[key].WhichOneof("parameter_choice")
        if key == CONFIG:
            if kind != "string_param":
                raise InvalidArgument(f"invalid value type for load parameter '{key}', expected string_param.")
            config = parameters[key].string_param
        elif key.startswith(FILE):
            if kind != "bytes_param":
                raise InvalidArgument(f"invalid value type for load parameter '{key}', expected bytes_param.")
            files[key.removeprefix(FILE)] = large[key] if key in large else parameters[key].bytes_param
        else:
            raise InvalidArgument(f"unrecognized load parameter '{key}'.")
    if files and not config:
        raise InvalidArgument(f"Load parameter '{CONFIG}' must be specified for model file override")
    return Overrides(config, files)
