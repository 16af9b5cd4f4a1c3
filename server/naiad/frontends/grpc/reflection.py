"""Server reflection over our descriptor pool: `grpc.reflection.v1` and its elder twin `v1alpha`.

The two differ in the package's name only, so the messages of v1 serve for both. What cannot be found is told in a
response, not by the end of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from google.protobuf.descriptor import FileDescriptor

from naiad.frontends.grpc.dispatch import Send, parse
from naiad.frontends.grpc.transport import OK, Buffer, Call, Reply
from naiad.frontends.status import GrpcStatus
from naiad.protocol import POOL, reflection_v1alpha_pb2
from naiad.protocol import reflection_pb2 as pb

SERVICES = tuple(module.DESCRIPTOR.services_by_name["ServerReflection"] for module in (pb, reflection_v1alpha_pb2))


class Reflection:
    """The answers. `services` are the full names of what the server serves."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = sorted(services)
        self._answers: dict[str | None, Callable[[pb.ServerReflectionRequest], pb.ServerReflectionResponse]] = {
            "file_by_filename": lambda request: _files(POOL.FindFileByName(request.file_by_filename)),
            "file_containing_symbol": lambda request: _files(_file_of(request.file_containing_symbol)),
            "file_containing_extension": _file_of_extension,
            "all_extension_numbers_of_type": _extension_numbers,
            "list_services": self._list_services,
        }

    def answer(self, request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        """Answer one request; never raises for what a client asks."""
        kind = request.WhichOneof("message_request")
        answer = self._answers.get(kind)
        if answer is None:
            response = _error(GrpcStatus.INVALID_ARGUMENT, "the request asks for nothing that is known here")
        else:
            try:
                response = answer(request)
            except KeyError:
                response = _error(GrpcStatus.NOT_FOUND, f"{kind}: not found: {getattr(request, str(kind))}")
        response.valid_host = request.host
        response.original_request.CopyFrom(request)
        return response

    def _list_services(self, _: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        services = [pb.ServiceResponse(name=name) for name in self._services]
        return pb.ServerReflectionResponse(list_services_response=pb.ListServiceResponse(service=services))


class ReflectionStream:
    """One stream of ServerReflectionInfo: a response to each request, in order.

    To a client that does not read the next request is not taken: its message is settled when it can be answered.
    """

    def __init__(self, reflection: Reflection, call: Call, send: Send) -> None:
        self._reflection = reflection
        self._call = call
        self._send = send
        self._owed = 0

    def message(self, message: Buffer) -> None:
        response = self._reflection.answer(parse(pb.ServerReflectionRequest, message))
        self._owed += 1
        credit = self._settle() if self._call.writable else 0
        self._send([Reply(self._call, (response.SerializeToString(),), credit=credit)])

    def half_close(self) -> None:
        self._send([Reply(self._call, None, OK, self._settle())])

    def writable(self) -> None:
        self._send([Reply(self._call, None, credit=self._settle())])

    def cancel(self) -> None:
        pass

    def _settle(self) -> int:
        owed, self._owed = self._owed, 0
        return owed


def _file_of(symbol: str) -> FileDescriptor:
    """The file that declares a symbol; KeyError if there is none."""
    file: FileDescriptor
    try:
        file = POOL.FindFileContainingSymbol(symbol)
    except KeyError:  # it knows all but methods
        file = POOL.FindMethodByName(symbol).containing_service.file
    return file


def _files(file: FileDescriptor) -> pb.ServerReflectionResponse:
    """A file with all that it imports, so that the client need not ask for each."""
    files = {found.name: found.serialized_pb for found in _with_imports(file)}
    return pb.ServerReflectionResponse(
        file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=files.values())
    )


def _with_imports(file: FileDescriptor) -> Iterator[FileDescriptor]:
    yield file
    for imported in file.dependencies:
        yield from _with_imports(imported)


def _file_of_extension(request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
    wanted = request.file_containing_extension
    message = POOL.FindMessageTypeByName(wanted.containing_type)
    return _files(POOL.FindExtensionByNumber(message, wanted.extension_number).file)


def _extension_numbers(request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
    message = POOL.FindMessageTypeByName(request.all_extension_numbers_of_type)
    numbers = [extension.number for extension in POOL.FindAllExtensions(message)]
    return pb.ServerReflectionResponse(
        all_extension_numbers_response=pb.ExtensionNumberResponse(
            base_type_name=message.full_name, extension_number=numbers
        )
    )


def _error(code: GrpcStatus, text: str) -> pb.ServerReflectionResponse:
    return pb.ServerReflectionResponse(error_response=pb.ErrorResponse(error_code=code, error_message=text))
