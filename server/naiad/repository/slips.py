"""What to do about a config.pbtxt that cannot be read, by what people usually write instead. Pure.

Each function gives a sentence for `Problem.remedy`. They know the habits of other formats (JSON, YAML, Python), of
word processors (typographic quotes, spaces that do not break) and of Triton's clients (BYTES, FLOAT32).
"""

from __future__ import annotations

import re

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from naiad.core.spelling import closest
from naiad.repository.tokens import Kind, Token

_STARTS = {
    r"\[[\w.-]+\]\s*$": "This is INI or TOML: write `name: value`, and a message as `input { ... }`",
    r"[{\[]": "This is JSON: write `name: value`, names without quotes, and nothing around the whole",
    r"---|- ": "This is YAML: write a message as `input { ... }` and a list as `[ 1, 2 ]`",
    r"version https://git-lfs": "This is a Git LFS pointer: fetch the file itself with git lfs pull",
    r"<(!|\?|html|HTML)": "This is a web page, probably that of an error: download the config again",
}
_CONFLICT = re.compile(r"^(<<<<<<<|=======|>>>>>>>)", re.MULTILINE)
_LOOKALIKES = {
    "\u201c\u201d\u201e\u00ab\u00bb": 'Write straight quotes, "", in place of typographic ones',
    "\u2018\u2019\u201a": "Write straight quotes, '', in place of typographic ones",
    "\u00a0\u2007\u202f\u200b\u3000\ufeff": "Replace this character by a plain space: it only looks like one",
    "\u2013\u2014\u2212": "Write a plain minus sign, -",
    "\uff1a": "Write a plain colon, :",
    "\uff0c": "Write a plain comma",
}
_DATATYPES = {
    "BYTES": "STRING", "STR": "STRING", "TEXT": "STRING", "OBJECT": "STRING", "FLOAT": "FP32", "FLOAT32": "FP32",
    "DOUBLE": "FP64", "FLOAT64": "FP64", "HALF": "FP16", "FLOAT16": "FP16", "BFLOAT16": "BF16", "INT": "INT32",
    "LONG": "INT64", "BYTE": "UINT8", "BOOLEAN": "BOOL",
}  # fmt: skip
_BOOLS = {"yes": "true", "on": "true", "y": "true", "true": "true", "no": "false", "off": "false", "n": "false",
          "false": "false"}  # fmt: skip
_NUMBERS = (Kind.INTEGER, Kind.FLOAT)
_VALUES = (Kind.NAME, *_NUMBERS, Kind.STRING)
_PLAIN = {
    "dims": "a size of 1 or more, or -1 for any size",
    "shape": "a size of 1 or more, or -1 for any size",
    "max_batch_size": "the largest batch, or 0 for a model without a batch dimension",
    "count": "how many instances there are to be, from 1 on",
    "preferred_batch_size": "a batch size of 1 or more",
}
"""Which numbers a field takes, where that is less than what its type does."""


def of_file(text: str) -> str:
    """What to do about a text that is of another kind as a whole; empty where it is not."""
    begin = text.lstrip()
    for start, remedy in _STARTS.items():
        if re.match(start, begin, re.MULTILINE):
            return remedy
    return "Resolve the merge conflict that git has marked" if _CONFLICT.search(text) else ""


def of_character(token: Token) -> str:
    """What to do about a character that looks like another one."""
    for characters, remedy in _LOOKALIKES.items():
        if token.text[:1] and token.text[0] in characters:
            return remedy
    return ""


def of_field(token: Token, line: str, before: str, opened: str) -> str:
    """What to do where a field's name was expected.

    line: the line from the token on; before: the last field's name; opened: what is not closed yet.
    """
    if remedy := of_character(token) or _of_template(line):
        return remedy
    if line.startswith(("--", "/", "%")):
        return "Begin a comment with #"
    if before and (token.kind in _NUMBERS or token.text == "-"):
        return f"Put several values of '{before}' into brackets: {before}: [ 1, 2 ]"
    if token.kind is Kind.END:
        return f"Add the sign that closes {opened}"
    if token.text in ("}", ">", "]"):
        return f"Remove {token}, or add the sign that opens what it closes"
    names = "Write the names of fields without quotes, and" if token.kind is Kind.STRING else "Write"
    return f"{names} one `name: value` after the other"


def of_colon(name: Token, token: Token) -> str:
    """What to do where a field's name is not followed by a colon."""
    return of_character(token) or f"Write '{name.text}: ' and then the value"


def of_list(token: Token) -> str:
    """What to do where a list goes on without a comma or bracket."""
    if token.kind is Kind.END or token.text in ("}", ")"):
        return "End the list with ]"
    return of_character(token) or "Put a comma between the elements of a list"


def of_message(field: FieldDescriptor, token: Token) -> str:
    """What to do where a message should begin."""
    inside = field.message_type.fields
    if field.message_type.GetOptions().map_entry:
        return f'Write {field.name} {{ key: "..." value ... }}'
    if not inside:
        return f"Write {field.name} {{ }}"
    if token.text == "[" and field.is_repeated:
        return "Remove one of the two brackets"
    if token.kind is Kind.STRING and field.name in ("input", "output"):
        return f"Write {field.name} {{ name: {token.text} data_type: ... dims: [ ... ] }}"
    if len(inside) > 1 or token.kind not in (*_VALUES, Kind.SYMBOL) or token.text not in ("[", *_worth(token)):
        return f"Write {field.name} {{ ... }}"
    value = "[ ... ]" if token.text == "[" else f"[ {token.text} ]" if inside[0].is_repeated else token.text
    return f"Write {field.name} {{ {inside[0].name}: {value} }}"


def _worth(token: Token) -> tuple[str, ...]:
    return (token.text,) if token.kind in _VALUES else ()


def _of_template(line: str) -> str:
    """What to do about a place that a template's engine has not filled."""
    return "Fill in the template first: this is one of its places" if line.startswith(("{{", "{%", "${", "<%")) else ""


def of_value(field: FieldDescriptor, token: Token, line: str, expected: str) -> str:
    """What to do about a value that a field cannot have; line: the line from the token on."""
    if remedy := _of_template(line) or _of_sign(field, token):
        return remedy
    bare = token.text.strip("\"'")
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return _of_string(token)
        case FieldDescriptor.CPPTYPE_ENUM:
            return f"Write {meant(field.enum_type, bare) or expected}"
        case FieldDescriptor.CPPTYPE_BOOL:
            return f"Write {_BOOLS.get(bare.lower(), expected)}"
    return (
        _of_number(token, bare)
        or f"Write {_PLAIN.get(field.name, 'a whole number' if 'integer' in expected else expected)}"
    )


def _of_sign(field: FieldDescriptor, token: Token) -> str:
    if token.kind is Kind.END or token.text in ("}", ">"):
        return f"Write a value after '{field.name}:'"
    if token.text == "]":
        return "Remove the comma before the bracket"
    if token.text == "[":
        return f"Write one value, without brackets: '{field.name}' is no list"
    return of_character(token)


def _of_number(token: Token, bare: str) -> str:
    if bare.isdecimal() and token.kind is Kind.STRING:
        return f"Remove the quotes: {bare}"
    whole, point, rest = bare.partition(".")
    return f"Write {whole}" if point and whole.isdecimal() and not rest.strip("0") else ""


def _of_string(token: Token) -> str:
    if token.kind is Kind.BAD:
        return "End the string on its line with the quote that it begins with"
    if token.kind is Kind.STRING:
        return "Write the backslash twice where it is meant as such, and the text in UTF-8"
    return f'Write it in quotes: "{token.text}"'


def meant(enum: EnumDescriptor, written: str) -> str | None:
    """The value of an enum that was probably meant: a datatype also by the name that other systems have for it."""
    names = list(enum.values_by_name)
    other = _DATATYPES.get(written.upper().removeprefix("TYPE_"))
    if f"TYPE_{other}" in names:
        return f"TYPE_{other}"
    return closest(written, names)
