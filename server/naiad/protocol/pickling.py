"""Pickling of nested messages.

protobuf pickles a nested message by its full name, and looks the name up in the default descriptor pool when
it is loaded. There it finds nothing of ours, or another project's class of that name. Nested messages of our
pool are therefore pickled by their class, as top-level ones are.
"""

import copyreg
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def pickle_by_class(files: Iterable[FileDescriptor]) -> None:
    """Make every nested message declared in `files` pickle by its class."""
    for file in files:
        for message in file.message_types_by_name.values():
            for nested in _nested(message):
                copyreg.pickle(GetMessageClass(nested), _reduce)


def _nested(message: Descriptor) -> Iterator[Descriptor]:
    for nested in message.nested_types:
        yield nested
        yield from _nested(nested)


def _reduce(message: Message) -> tuple[type[Message], tuple[()], dict[str, bytes]]:
    return type(message), (), {"serialized": message.SerializePartialToString()}
