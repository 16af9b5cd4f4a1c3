"""Pickling and copying of nested messages.

What protobuf writes for a nested message is its full name, which is looked up in the default pool when it is read:
there it is unknown, or somebody else's. A nested message of ours is therefore written as its class and its bytes.
"""

import copyreg
from collections.abc import Iterable

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def pickle_nested(files: Iterable[FileDescriptor]) -> None:
    """Make the nested messages of `files`, at any depth, survive pickle and copy."""
    todo: list[Descriptor] = [message for file in files for message in file.message_types_by_name.values()]
    while todo:
        nested = todo.pop().nested_types
        todo.extend(nested)
        for each in nested:
            copyreg.pickle(GetMessageClass(each), _reduce)


def _reduce(message: Message) -> tuple[type[Message], tuple[()], dict[str, bytes]]:
    return type(message), (), {"serialized": message.SerializePartialToString()}
