"""A .proto file as a flat table: full name -> what the wire sees of it. Two compiled contracts compare as dicts.

Left out is what the wire does not see: file names, comments, options for other languages. Map entries are messages
like others and marked as such.
"""

from collections.abc import Iterator

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)


def facts(file: FileDescriptor) -> dict[str, str]:
    """Return every package, service, method, message, oneof, field, enum and enum value that `file` declares."""
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    return dict(_file(proto))


def _file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    yield file.package, f"package, {file.syntax}"
    for service in file.service:
        yield from _service(f"{file.package}.{service.name}", service)
    for enum in file.enum_type:
        yield from _enum(f"{file.package}.{enum.name}", enum)
    for message in file.message_type:
        yield from _message(f"{file.package}.{message.name}", message)


def _service(name: str, service: ServiceDescriptorProto) -> Iterator[tuple[str, str]]:
    yield name, "service"
    for method in service.method:
        request = "stream " * method.client_streaming + method.input_type
        response = "stream " * method.server_streaming + method.output_type
        yield f"{name}.{method.name}", f"rpc {request} -> {response}"


def _enum(name: str, enum: EnumDescriptorProto) -> Iterator[tuple[str, str]]:
    yield name, "enum"
    for value in enum.value:
        yield f"{name}.{value.name}", f"value {value.number}"


def _message(name: str, message: DescriptorProto) -> Iterator[tuple[str, str]]:
    yield name, "map entry" if message.options.map_entry else "message"
    for oneof in message.oneof_decl:
        yield f"{name}.{oneof.name}", "oneof"
    for field in message.field:
        yield f"{name}.{field.name}", _field(message, field)
    for enum in message.enum_type:
        yield from _enum(f"{name}.{enum.name}", enum)
    for nested in message.nested_type:
        yield from _message(f"{name}.{nested.name}", nested)


def _field(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
    kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    words = [f"field {field.number}", label, kind, field.type_name]
    if field.HasField("oneof_index"):
        words.append(f"oneof {message.oneof_decl[field.oneof_index].name}")
    if field.proto3_optional:
        words.append("explicit presence")
    if field.options.HasField("packed"):
        words.append(f"packed {field.options.packed}")
    return " ".join(filter(None, words))
