"""Any message of the contract, as a hypothesis strategy: every field, set or not, with any value of its type."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from naiad.protocol import model_config_pb2

_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(allow_nan=False, width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
}


def configs() -> st.SearchStrategy[model_config_pb2.ModelConfig]:
    """Messages of which few make sense and all can be written."""
    return _messages(model_config_pb2.ModelConfig)


@st.composite
def _messages(draw: st.DrawFn, kind: type[Message]) -> Any:
    message = kind()
    names = sorted(kind.DESCRIPTOR.fields_by_name)
    for name in draw(st.lists(st.sampled_from(names), max_size=4, unique=True)) if names else ():
        _fill(draw, message, kind.DESCRIPTOR.fields_by_name[name])
    return message


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor) -> None:
    target: Any = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _fill_map(draw, target, field)
    elif field.message_type is not None and field.is_repeated:
        target.extend(draw(st.lists(_messages(GetMessageClass(field.message_type)), max_size=2)))
    elif field.message_type is not None:
        target.SetInParent()
        target.MergeFrom(draw(_messages(GetMessageClass(field.message_type))))
    elif field.is_repeated:
        target.extend(draw(st.lists(_scalars(field), max_size=3)))
    else:
        setattr(message, field.name, draw(_scalars(field)))


def _fill_map(draw: st.DrawFn, target: Any, field: FieldDescriptor) -> None:
    key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    for entry in draw(st.lists(_scalars(key), max_size=2, unique=True)):
        if value.message_type is None:
            target[entry] = draw(_scalars(value))
        else:
            target[entry].MergeFrom(draw(_messages(GetMessageClass(value.message_type))))


def _scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return _SCALARS[field.cpp_type]
