"""A RepositoryModelLoadRequest whose files stay where they are: copies of hundreds of megabytes keep others waiting.

What usual encoders write is split by hand; protobuf reads what is small, and all of what is written in another way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from naiad.frontends.grpc.dispatch import parse
from naiad.frontends.grpc.transport import Buffer
from naiad.frontends.grpc.wire import scan, tag
from naiad.protocol import grpc_service_pb2 as pb

LARGE = 32 * 1024
"""Bytes of a parameter from which on it is left where it is."""
_PARAMETER, _KEY, _VALUE, _BYTES = tag(3), tag(1), tag(2), tag(4)


class LoadRequest(NamedTuple):
    """message: all but `large`: the parameters that are large bytes, as views of what was received, by their names."""

    message: pb.RepositoryModelLoadRequest
    large: Mapping[str, Buffer]


def read(received: Buffer) -> LoadRequest:
    """Raises InvalidArgument for what is no message."""
    fields = scan(received) if len(received) >= LARGE else None
    if fields is not None:
        view, rest, large = memoryview(received), [], {}
        for field in fields:
            found = None
            if field.tag == _PARAMETER and field.end - field.content >= LARGE:
                found = _bytes_parameter(view[field.content : field.end])
            if found is None:
                rest.append(view[field.start : field.end])
            else:
                large[found[0]] = found[1]
        message = parse(pb.RepositoryModelLoadRequest, b"".join(rest))
        if not large.keys() & message.parameters.keys():
            return LoadRequest(message, large)
    return LoadRequest(parse(pb.RepositoryModelLoadRequest, received), {})


def _bytes_parameter(entry: memoryview) -> tuple[str, memoryview] | None:
    """The name and the content of a parameter that is bytes and nothing else; None for any other."""
    found = {field.tag: entry[field.content : field.end] for field in scan(entry) or ()}
    if found.keys() != {_KEY, _VALUE}:
        return None
    value = scan(found[_VALUE])
    if value is None or [field.tag for field in value] != [_BYTES]:
        return None
    try:
        return str(found[_KEY], "utf-8"), found[_VALUE][value[0].content :]
    except UnicodeDecodeError:
        return None
