"""config.pbtxt is read as protobuf reads it, with a place for every field and words for every mistake."""

import codecs

import pytest
from google.protobuf import text_format
from hypothesis import example, given, settings
from hypothesis import strategies as st

from naiad.protocol import model_config_pb2
from naiad.repository.pbtxt import MAX_BYTES, ConfigError, Parsed, map_key, parse
from tests.protocol.messages import configs

patient = settings(deadline=None)  # a machine may be busy with other things
FILE = "models/digits/config.pbtxt"


def read(text: str) -> model_config_pb2.ModelConfig:
    return parse(text.encode(), FILE).message


def outcome(data: bytes) -> Parsed | ConfigError:
    try:
        return parse(data, FILE)
    except ConfigError as error:
        return error


def mistake(text: str | bytes) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), FILE)
    return caught.value


@patient
@given(configs(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_whatever_protobuf_writes_is_read_back_equal(
    message: model_config_pb2.ModelConfig, one_line: bool, short: bool, pointy: bool, utf8: bool
) -> None:
    text = text_format.MessageToString(
        message, as_utf8=utf8, as_one_line=one_line, use_short_repeated_primitives=short, pointy_brackets=pointy
    )
    assert read(text) == message


@patient
@given(configs())
def test_every_field_that_is_written_has_its_line(message: model_config_pb2.ModelConfig) -> None:
    text = text_format.MessageToString(message, as_utf8=True)
    lines = text.split("\n")
    for path, position in parse(text.encode(), FILE).positions.items():
        word = path.split('["', 1)[0].split("[")[0].split(".")[-1]
        if "]" not in path:
            assert word in lines[position.line - 1]
        assert 1 <= position.line <= len(lines)


_WORDS = st.sampled_from(
    [
        *("name", "input", "dims", "parameters", "key", "value", "dynamic_batching", "kind", "data_type"),
        *"{}[]<>:;,-#\n\"'\\ ",
        *("TYPE_FP32", "KIND_GPU", "1", "-1", "0x1f", "1e5", '"a"', "'b'", "true", "inf", "9" * 30, "\\x", "\0", "é"),
    ]
)


@patient
@given(st.one_of(st.binary(max_size=60), st.lists(_WORDS, max_size=25).map(lambda w: " ".join(w).encode())))
@example(b"name: " + b'"\\ud800"')
@example(b"input [" * 20_000)
@example(b"input {" * 20_000)
@example(b"max_batch_size: " + b"9" * 5000)
def test_garbage_gives_a_config_error_and_nothing_else(data: bytes) -> None:
    result = outcome(data)
    if isinstance(result, ConfigError):
        assert result.line >= 1
        assert result.column >= 1
        assert str(result).startswith(f"{FILE}:{result.line}:{result.column}: ")


@patient
@given(configs(), st.data())
def test_a_slip_of_the_pen_is_read_as_protobuf_reads_it_or_refused(
    message: model_config_pb2.ModelConfig, data: st.DataObject
) -> None:
    text = text_format.MessageToString(message, as_utf8=True)
    start = data.draw(st.integers(0, len(text)))
    text = text[:start] + data.draw(_WORDS) + text[start + data.draw(st.integers(0, 3)) :]
    try:
        expected = text_format.Parse(text, model_config_pb2.ModelConfig())
    except (text_format.ParseError, ValueError, DeprecationWarning):
        outcome(text.encode())  # the grammar of C++ knows a little more; it only must not raise anything else
        return
    result = outcome(text.encode())
    if isinstance(result, ConfigError):
        assert "unknown escape" in str(result)  # which Python's protobuf overlooks and C++ does not
    else:
        assert result.message == expected


@patient
@given(configs(), st.data())
def test_a_config_that_breaks_off_anywhere_is_read_or_refused(
    message: model_config_pb2.ModelConfig, data: st.DataObject
) -> None:
    text = text_format.MessageToString(message, as_utf8=True, as_one_line=data.draw(st.booleans()))
    cut = text[: data.draw(st.integers(0, len(text)))].encode()
    result = outcome(cut)
    assert isinstance(result, ConfigError) or result.message == text_format.Parse(cut, model_config_pb2.ModelConfig())


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("max_batch_size: 8 # eight", "max_batch_size: 8"),
        ("input { name: 'x', dims: 4; dims: -1 };", 'input { name: "x" dims: [4, -1] }'),
        ("input: [ < name: 'x' >, { name: 'y' } ]", "input { name: 'x' } input { name: 'y' }"),
        ("input [ { name: 'x' } ]", "input { name: 'x' }"),
        ("input { dims: [ ] }", "input { }"),
        ("name: 'ab' \"c\"\n 'd'", "name: 'abcd'"),
        (r"name: '\x41\102\n\t\'\" \u00e9\U0001f600\ud83d\ude00'", "name: 'AB\\n\\t\\'\\\" é😀😀'"),
        ("max_batch_size: 0x10", "max_batch_size: 16"),
        ("max_batch_size: 010", "max_batch_size: 8"),
        ("max_batch_size: - 1", "max_batch_size: -1"),
        ("input { data_type: 11 }", "input { data_type: TYPE_FP32 }"),
        ("response_cache { enable: t }", "response_cache { enable: true }"),
        ("response_cache { enable: 1 }", "response_cache { enable: true }"),
        ("name: '' name: 'x'", "name: 'x'"),
        ("parameters { key: 'a' value { string_value: '1' } } parameters { key: 'a' }", "parameters { key: 'a' }"),
        ("cc_model_filenames [ { key: '7.5' value: 'a' } ]", "cc_model_filenames { key: '7.5' value: 'a' }"),
        ("model_metrics { metric_control { histogram_options { buckets: [.5, 1.5f, 2, -inf] } } }",
         "model_metrics { metric_control { histogram_options { buckets: [0.5, 1.5, 2.0, -inf] } } }"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}name: 'with a byte order mark'", "name: 'with a byte order mark'"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_grammar_is_that_of_the_text_format(text: str, same: str) -> None:
    assert read(text) == text_format.Parse(same, model_config_pb2.ModelConfig())


@pytest.mark.parametrize(
    ("text", "line", "column", "field", "says"),
    [
        ('name: "x"\nmax_batchsize: 8', 2, 1, "",
         "unknown field 'max_batchsize' in ModelConfig, did you mean 'max_batch_size'?"),
        ("input {\n  datatype: TYPE_FP32\n}", 2, 3, "input[0]",
         "unknown field 'datatype' in ModelInput, did you mean 'data_type'?"),
        ("max_queue_delay_microseconds: 5", 1, 1, "", "it is a field of 'dynamic_batching'"),
        ("dynamic_batching { name: 'x' }", 1, 20, "dynamic_batching", "it is a field of the config itself"),
        ("response_cache { zzz: 1 }", 1, 18, "response_cache",
         "unknown field 'zzz' in ModelResponseCache, expected one of enable"),
        ('max_batch_size: "8"', 1, 17, "max_batch_size",
         "found \"8\", expected an integer from -2147483648 to 2147483647 for 'max_batch_size'"),
        ("max_batch_size: 8.0", 1, 17, "max_batch_size", "found '8.0', expected an integer"),
        ("max_batch_size: 3000000000", 1, 17, "max_batch_size", "found '3000000000', expected an integer from"),
        ("max_batch_size: 089", 1, 17, "max_batch_size", "found '089', expected an integer"),
        ("max_batch_size: 8x", 1, 17, "max_batch_size", "found '8x', expected an integer"),
        ("input { dims: [1, 2\n, x] }", 2, 3, "input[0].dims[2]", "found 'x', expected an integer"),
        ("instance_group { count: - 'x' }", 1, 25, "instance_group[0].count", "found '-'x'', expected an integer"),
        ("dynamic_batching { priority_levels: -1 }", 1, 37, "dynamic_batching.priority_levels", "found '-1', expected"),
        ("instance_group { kind: GPU }", 1, 24, "instance_group[0].kind", "(did you mean KIND_GPU?)"),
        ('input { data_type: "TYPE_FP32" }', 1, 20, "input[0].data_type", "(did you mean TYPE_FP32, without quotes?)"),
        ("input { data_type: TYPE_FLOAT }", 1, 20, "input[0].data_type", "expected one of TYPE_BOOL, TYPE_UINT8"),
        ("input { optional: yes }", 1, 19, "input[0].optional", "found 'yes', expected true or false for 'optional'"),
        ("name:", 1, 6, "name", "found the end of the file, expected a string in quotes for 'name'"),
        ("max_batch_size: -", 1, 17, "max_batch_size", "found '-', expected an integer"),
        ("name: digits", 1, 7, "name", "found 'digits', expected a string in quotes for 'name'"),
        ("name: 'digits\nplatform: 'x'", 1, 7, "name", "expected a string in quotes"),
        (r"name: '\q'", 1, 7, "name", r"a string without the unknown escape \q"),
        (r"name: '\é'", 1, 7, "name", r"a string without the unknown escape \\xe9"),
        (r"name: '\xff'", 1, 7, "name", "expected a string of UTF-8"),
        (r"name: 'a' '\xff'", 1, 7, "name", r"found 'a' '\xff', expected a string of UTF-8"),
        (r"name: '\ud800'", 1, 7, "name", "expected a string of UTF-8"),
        (r"name: '\U00110000'", 1, 7, "name", r"at most \U0010ffff"),
        ('name = "x"', 1, 6, "name", "found '=', expected ':' after 'name'"),
        ("dynamic_batching: 8", 1, 19, "dynamic_batching", "found '8', expected '{'"),
        ("dynamic_batching 8", 1, 18, "dynamic_batching", "found '8', expected '{' after 'dynamic_batching'"),
        ("input { dims [1] }", 1, 14, "input[0].dims", "found '[', expected ':' after 'dims'"),
        ("input { dims: [1 2] }", 1, 18, "input[0].dims",
         "found '2', expected ',' or ']' in the list 'dims' of line 1"),
        ("input { dims: [1,] }", 1, 18, "input[0].dims[1]", "found ']', expected an integer"),
        ("input {\n  name: 'x'\n", 3, 1, "input[0]",
         "found the end of the file, expected a field of ModelInput or '}' to end 'input' of line 1"),
        ("input { name: 'x' ]", 1, 19, "input[0]", "found ']', expected a field of ModelInput or '}'"),
        ("}", 1, 1, "", "found '}', expected a field of ModelConfig"),
        ("name: 'x' // comment", 1, 11, "", "found '/', expected a field of ModelConfig"),
        ("name: 'x'\n\nname: 'y'", 3, 1, "name", "found 'name' again, expected it once: it stands in line 1 already"),
        ("dynamic_batching {} dynamic_batching {}", 1, 21, "dynamic_batching", "found 'dynamic_batching' again"),
        ("dynamic_batching {}\nsequence_batching {}", 2, 1, "sequence_batching",
         "expected one of 'dynamic_batching' and 'sequence_batching', not both"),
        ("model_metrics { metric_control { histogram_options { buckets: 'x' } } }", 1, 63,
         "model_metrics.metric_control[0].histogram_options.buckets[0]", "expected a decimal number"),
        ("parameters { key: 'a' value { string_valu: '1' } }", 1, 31, "parameters[0].value",
         "did you mean 'string_value'?"),
        ("name: '\0' \0", 1, 11, "", r"found '\x00', expected a field"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_what_was_found_and_what_is_expected(
    text: str, line: int, column: int, field: str, says: str
) -> None:
    error = mistake(text)
    assert says in str(error)
    assert (error.line, error.column, error.field) == (line, column, field)
    assert error.problems[0].place == f"{FILE}:{line}:{column}"


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"name: 'x'\nplatform: '\xff'", 2, "byte 0xff is not UTF-8"),
        (codecs.BOM_UTF16_LE + "name: 'x'".encode("utf-16-le"), 1, "the file is UTF-16, expected UTF-8"),
        (b"#" * (MAX_BYTES + 1), 1, f"the file has {MAX_BYTES + 1} bytes, expected at most {MAX_BYTES}"),
    ],
)
def test_a_file_that_is_no_text_is_refused_in_plain_words(data: bytes, line: int, says: str) -> None:
    error = mistake(data)
    assert error.line == line
    assert says in str(error)


CONFIG = """\
name: "digits"
input [
  {
    name: "x"
    dims: [
      8,
      9
    ]
  }
]
dynamic_batching {
  priority_queue_policy {
    key: 3
    value { max_queue_size: 7 }
  }
}
parameters {
  key: "a.b[0]"
  value { string_value: "1" }
}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("name", 1),
        ("input", 2),
        ("input[0]", 3),
        ("input[0].name", 4),
        ("input[0].dims", 5),
        ("input[0].dims[1]", 7),
        ("input[0].data_type", 3),
        ("input[0].reshape.shape[4]", 3),
        ("dynamic_batching.priority_queue_policy[3].max_queue_size", 14),
        ("dynamic_batching.priority_queue_policy[3].timeout_action", 12),
        ("dynamic_batching.preserve_ordering", 11),
        (f"parameters{map_key('a.b[0]')}.string_value", 19),
        (f"parameters{map_key('a.b[0]')}", 17),
        (f"parameters{map_key('other')}.string_value", 17),
        ("output", 1),
        ("", 1),
    ],
)
def test_a_field_is_found_by_its_path_or_where_it_would_stand(path: str, line: int) -> None:
    assert parse(CONFIG.encode(), FILE).locate(path) == f"{FILE}:{line}"
