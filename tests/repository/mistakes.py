"""Mistakes that people make in a config, a directory or a file, planted as models of a repository.

A row is one model: its files, and what is to be told of it. In its texts {model} stands for the model's directory and
{name} for the model's name. `place` is relative to that directory; empty is the directory itself.
"""

import pickle
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import onnx

from tests.models import build
from tests.repository.files import lay

GOOD = """\
backend: "onnxruntime"
max_batch_size: 8
input {
  name: "INPUT0"
  data_type: TYPE_FP32
  dims: [ 16 ]
}
output {
  name: "OUTPUT0"
  data_type: TYPE_FP32
  dims: [ 4 ]
}
"""

Content = str | bytes | None | Callable[[Path], object]
"""Of a file: itself, an empty directory (None), or what writes it."""


class Mistake(NamedTuple):
    """found, expected and remedy are parts of what is told in these fields. warning: it is served all the same."""

    files: Mapping[str, Content]
    place: str
    found: str
    expected: str
    remedy: str
    warning: bool = False

    def plant(self, directory: Path) -> None:
        """Write the model."""
        directory.mkdir(parents=True)
        for name, content in self.files.items():
            if callable(content):
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                content(directory / name)
            else:
                lay(directory, {name: content})


@cache
def _linear() -> bytes:
    with TemporaryDirectory() as directory:
        return build.linear(Path(directory) / "model.onnx").read_bytes()


def _link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def _without_weights(path: Path) -> None:
    build.external_data(path)
    path.with_name("weights.bin").unlink()


def _edited(edit: Callable[[onnx.ModelProto], object]) -> Callable[[Path], object]:
    """A model that is no more what it was."""

    def write(path: Path) -> None:
        model = onnx.load(build.linear(path))
        edit(model)
        path.write_bytes(model.SerializeToString())

    return write


def _custom(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="com.example", version=1)
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.example", "Secret"


def _writable(path: Path) -> None:
    path.write_bytes(_linear())
    path.chmod(0o666)


FILE = "1/model.onnx"
LINEAR = _linear()


def config(text: str | bytes, place: str, found: str, expected: str, remedy: str) -> Mistake:
    """A mistake in the config of a model that is otherwise sound; `place` is a line, with or without a column."""
    return Mistake({"config.pbtxt": text, FILE: LINEAR}, f"config.pbtxt:{place}", found, expected, remedy)


def file(content: Content, found: str, expected: str, remedy: str) -> Mistake:
    """A mistake in a model's file."""
    return Mistake({FILE: content}, FILE, found, expected, remedy)


CONFIGS = {
    "a misspelt field": config(
        GOOD.replace("max_batch_size", "max_batchsize"), "2:1", "'max_batchsize'", "'max_batch_size'",
        "Write 'max_batch_size'"),
    "a field in the wrong place": config(
        GOOD + "max_queue_delay_microseconds: 100", "13:1", "'max_queue_delay_microseconds'",
        "a field of 'dynamic_batching'", "Move it into 'dynamic_batching'"),
    "a plural": config(
        GOOD.replace("input {", "inputs {"), "3:1", "'inputs'", "'input'", "Write 'input'"),
    "a shape in place of dims": config(
        GOOD.replace("dims: [ 16 ]", "shape: [ 16 ]"), "6:3", "'shape'", "'dims'", "Write 'dims'"),
    "hyphens in place of underlines": config(
        GOOD.replace("max_batch_size", "max-batch-size"), "2:1", "'max-batch-size'", "'max_batch_size'",
        "Write 'max_batch_size'"),
    "a field that many messages have": config(
        GOOD + "kind: KIND_CPU", "13:1", "'kind'", "a field of 'instance_group'", "Move it into 'instance_group'"),
    "a field that two messages have": config(
        GOOD + "max_queue_size: 9", "13:1", "'max_queue_size'", "'dynamic_batching.priority_queue_policy'",
        "Move it into 'dynamic_batching.default_queue_policy' or 'dynamic_batching.priority_queue_policy'"),
    "a field of another part of the same message": config(
        GOOD + "model_warmup { zero_data: true }", "13:16", "'zero_data'", "a field of 'model_warmup.inputs'",
        "Move it into 'model_warmup.inputs'"),
    "a list of a message's fields": config(
        'input [ name: "INPUT0" ]', "1:9", "'name'", "'{'", "Write input { ... }"),
    "a list of names": config(
        'input: [ "INPUT0" ]', "1:10", '"INPUT0"', "'{'", 'Write input { name: "INPUT0" data_type'),
    "two brackets": config("input [ [ { } ] ]", "1:9", "'['", "'{'", "Remove one of the two brackets"),
    "a number for a policy": config(
        "version_policy { latest: 2 }", "1:26", "'2'", "'{'", "Write latest { num_versions: 2 }"),
    "a policy without braces": config("version_policy: { all }", "1:23", "'}'", "'{' after 'all'", "Write all { }"),
    "a list for a policy": config(
        "version_policy { specific: [ 1 ] }", "1:28", "'['", "'{'", "Write specific { versions: [ ... ] }"),
    "a size that is left open": config(
        GOOD.replace("[ 16 ]", "[ None ]"), "6:11", "'None'", "an integer", "or -1 for any size"),
    "a template that is not filled in": config(
        "max_batch_size: {{ size }}", "1:17", "'{'", "an integer", "Fill in the template first"),
    "an INI file": config('[model]\nname = "x"', "1:1", "'['", "a field of ModelConfig", "This is INI or TOML"),
    "a comment of two hyphens": config(GOOD + "-- done", "13:1", "'-'", "a field", "Begin a comment with #"),
    "a field twice": config(
        GOOD + "max_batch_size: 4", "13:1", "'max_batch_size' again", "it stands in line 2 already",
        "Remove one of the two"),
    "two schedulers": config(
        GOOD + "dynamic_batching { }\nsequence_batching { }", "14:1", "'sequence_batching'",
        "one of 'dynamic_batching' and 'sequence_batching'", "Remove 'dynamic_batching' or 'sequence_batching'"),
    "a datatype without its prefix": config(
        GOOD.replace("TYPE_FP32", "FP32", 1), "5:14", "'FP32'", "one of TYPE_BOOL, TYPE_UINT8", "Write TYPE_FP32"),
    "a datatype in the words of clients": config(
        GOOD.replace("TYPE_FP32", "TYPE_BYTES", 1), "5:14", "'TYPE_BYTES'", "TYPE_STRING", "Write TYPE_STRING"),
    "a string for a number": config(
        GOOD.replace("8", '"8"'), "2:17", '"8"', "an integer", "Remove the quotes: 8"),
    "a fraction for a whole number": config(GOOD.replace("8", "8.0"), "2:17", "'8.0'", "an integer", "Write 8"),
    "a word for a boolean": config(
        GOOD + "response_cache { enable: yes }", "13:26", "'yes'", "true or false", "Write true"),
    "a name without quotes": config(
        "name: digits", "1:7", "'digits'", "a string in quotes", 'Write it in quotes: "digits"'),
    "typographic quotes": config(
        "name: \u201cdigits\u201d", "1:7", "'\u201c'", "a string in quotes", "Write straight quotes"),
    "a string that does not end": config(
        'name: "digits\n' + GOOD, "1:7", "'\"digits'", "a string in quotes", "End the string on its line"),
    "a space that does not break": config(
        GOOD + "\u00a0version_policy { }", "13:1", "'\\xa0'", "a field of ModelConfig", "Replace this character"),
    "a list without brackets": config(
        GOOD.replace("[ 16 ]", "16, 1"), "6:13", "'1'", "a field of ModelInput", "into brackets: dims: [ 1, 2 ]"),
    "a list without commas": config(
        GOOD.replace("[ 16 ]", "[ 16 1 ]"), "6:14", "'1'", "',' or ']'", "Put a comma between the elements"),
    "a list with a comma too many": config(
        GOOD.replace("[ 16 ]", "[ 16, ]"), "6:15", "']'", "an integer", "Remove the comma before the bracket"),
    "a list that does not end": config(
        "input { name: 'x' dims: [ 1 }", "1:29", "'}'", "',' or ']' in the list 'dims'", "End the list with ]"),
    "a list for one value": config(
        "max_batch_size: [ 8 ]", "1:17", "'['", "an integer", "without brackets: 'max_batch_size' is no list"),
    "a value that is missing": config(
        "input { name: }", "1:15", "'}'", "a string in quotes", "Write a value after 'name:'"),
    "names in quotes": config(GOOD + '"name": "x"', "13:1", '"name"', "a field of ModelConfig", "without quotes"),
    "a message without braces": config("dynamic_batching: true", "1:19", "'true'", "'{'", "Write dynamic_batching {"),
    "a backslash that means nothing": config(
        r'name: "a\d"', "1:7", r'"a\d"', "the unknown escape", "Write the backslash twice"),
    "a brace that is missing": config(
        GOOD.removesuffix("}\n"), "12:1", "the end of the file", "'}' to end 'output' of line 8", "closes 'output'"),
    "a brace too many": config(GOOD + "}", "13:1", "'}'", "a field of ModelConfig", "Remove '}'"),
    "an equals sign": config("max_batch_size = 8", "1:16", "'='", "':' after 'max_batch_size'",
                             "Write 'max_batch_size: '"),
    "a comment of another language": config("// sound\n" + GOOD, "1:1", "'/'", "a field", "Begin a comment with #"),
    "JSON": config('{ "max_batch_size": 8 }', "1:1", "'{'", "a field of ModelConfig", "This is JSON"),
    "YAML": config("---\nmax_batch_size: 8\n", "1:1", "'-'", "a field of ModelConfig", "This is YAML"),
    "a merge conflict": config(
        "<<<<<<< HEAD\nmax_batch_size: 8\n=======\n", "1:1", "'<'", "a field", "Resolve the merge conflict"),
    "bytes that are no text": config(GOOD.encode() + b"# \xff", "13:3", "byte 0xff", "UTF-8", "Save the file as UTF-8"),
    "UTF-16": config(GOOD.encode("utf-16"), "1:1", "UTF-16", "UTF-8", "Save it as UTF-8"),
    "another model's name": config('name: "other"', "1", "'other'", "'{name}'", 'Write name: "{name}"'),
    "a negative batch size": config(GOOD.replace("8", "-8"), "2", "-8", "a number >= 0", "or 0 for a model without"),
    "a dimension of no size": config(GOOD.replace("16", "0"), "6", "0", "integer >= 1", "Write -1 where any size"),
    "a datatype that is missing": config(
        GOOD.replace("  data_type: TYPE_FP32\n", "", 1), "3", "nothing", "one of TYPE_BOOL", "Add the datatype"),
    "a scheduler that is not there yet": config(
        GOOD + "sequence_batching { }", "13", "'sequence_batching'", "", "Remove 'sequence_batching' if the model"),
    "an ensemble": config(
        'platform: "ensemble"', "1", 'platform: "ensemble"', "", "Call its models one after the other"),
    "a kind that is not there yet": config(
        GOOD + "instance_group { kind: KIND_MODEL }", "13", "instance_group[0].kind: KIND_MODEL", "",
        "Write KIND_CPU, KIND_GPU or KIND_AUTO"),
    "a batch size larger than the largest": config(
        GOOD + "dynamic_batching {\n  preferred_batch_size: [ 4, 9 ]\n}", "14", "9", "at most 8",
        "raise max_batch_size"),
    "a version that is not there": config(
        GOOD + "version_policy {\n specific { versions: 7 }\n}", "13", "1", "a version that the policy selects",
        "List one of 1 in the policy"),
    "a misspelt backend": config(
        GOOD.replace("onnxruntime", "onxruntime"), "1", "'onxruntime'", "one of identity, onnxruntime",
        "Write 'onnxruntime'"),
    "a backend that is not there yet": config(
        'backend: "pytorch"', "1", "'pytorch'", "one of identity, onnxruntime", "Export the model to ONNX"),
    "a backend that will not come": config(
        '\nplatform: "tensorflow_savedmodel"', "2", "'tensorflow'", "one of identity, onnxruntime",
        "Convert the model to ONNX, for example with tf2onnx"),
    "a platform of another backend": config(
        GOOD + 'platform: "tensorrt_plan"', "13", "'tensorrt_plan'", "'onnxruntime_onnx'", "Remove 'platform'"),
    "a backend of another name that will not come": config(
        'backend: "tensorrt_llm"', "1", "'tensorrt_llm'", "one of identity, onnxruntime", "a server made for them"),
    "a backend of somebody's own": config(
        GOOD.replace("onnxruntime", "density"), "1", "'density'", "one of identity", "Convert the model to ONNX"),
    "a platform of somebody's own": config(
        'platform: "mycorp_engine"', "1", "'mycorp_engine'", "one of onnxruntime_onnx", "Convert the model to ONNX"),
    "a misspelt platform of a backend that is not there yet": config(
        'platform: "tensort_plan"', "1", "'tensort_plan'", "one of identity, onnxruntime", "Serve the ONNX model that"),
    "a misspelt platform": config(
        'platform: "onnxruntime_onx"', "1", "'onnxruntime_onx'", "one of onnxruntime_onnx", "Write 'onnxruntime_onnx'"),
    "a file that is not there": config(
        GOOD + 'default_model_filename: "net.onnx"', "13", "model.onnx", "'{model}/1/net.onnx'",
        "Rename 'model.onnx' to 'net.onnx'"),
    "a file outside": config(
        GOOD + '\ndefault_model_filename: "../../x"', "14", "'../../x'", "a file in it", "Copy the file into"),
    "labels that are not there": config(
        GOOD.replace("dims: [ 4 ]", 'dims: [ 4 ]\n  label_filename: "l.txt"'), "12", "no file", "'{model}/l.txt'",
        "Put it beside the config"),
    "an input that the model does not have": config(
        GOOD.replace("INPUT0", "INPUT"), "4", "'INPUT'", "INPUT0 (FP32 [-1,16])", "Write 'INPUT0'"),
    "a blank at the end of a name": config(
        GOOD.replace('"INPUT0"', '"INPUT0 "'), "4", "'INPUT0 '", "INPUT0 (FP32 [-1,16])", "Write 'INPUT0'"),
    "a datatype that the model does not have": config(
        GOOD.replace("TYPE_FP32", "TYPE_INT32", 1), "5", "TYPE_INT32", "TYPE_FP32", "Write TYPE_FP32"),
    "a shape that the model does not have": config(
        GOOD.replace("[ 4 ]", "[ 5 ]"), "11", "shape [-1,5]", "shape [-1,4]", "Write dims: [4]"),
    "the batch dimension among the others": config(
        GOOD.replace("[ 16 ]", "[ -1, 16 ]"), "6", "shape [-1,-1,16]", "shape [-1,16]",
        "Write dims: [16], without the batch dimension"),
    "no batch dimension where the model has one": config(
        GOOD.replace("max_batch_size: 8\n", ""), "5", "shape [16]", "shape [-1,16]", "or set max_batch_size"),
    "a GPU that is not there": config(
        GOOD + "\ninstance_group { kind: KIND_GPU }", "14", "no GPUs", "a GPU",
        "Serve it where a GPU and its driver are"),
    "GPUs for instances on the CPU": config(
        GOOD + "instance_group {\n kind: KIND_CPU\n gpus: [ 0 ]\n}", "15", "gpus: [0]", "no 'gpus'", "Remove 'gpus'"),
    "a parameter that is no number": config(
        GOOD + 'parameters {\n  key: "intra_op_thread_count"\n  value { string_value: "many" }\n}', "15", "'many'",
        "a whole number", "Write a whole number in quotes"),
    "a misspelt parameter": config(
        GOOD + 'parameters {\n  key: "intra_op_threads"\n  value { string_value: "4" }\n}', "13",
        "'intra_op_threads'", "'intra_op_thread_count'", "Write 'intra_op_thread_count'")._replace(warning=True),
    "a field among the parameters": config(
        GOOD + 'parameters {\n  key: "optimization.graph.levl"\n  value { string_value: "1" }\n}', "13",
        "'optimization.graph.levl'", "the field optimization", "Write optimization {")._replace(warning=True),
    "a level that does not exist": config(
        GOOD + "optimization { graph { level: 7 } }", "13", "7", "one of -1, 0, 1, 2", "Write 2 for none"
    )._replace(warning=True),
    "more instances than a machine can use": config(
        GOOD + "instance_group { kind: KIND_CPU count: 1000 }", "13", "1000", "at most 256", "as there are cores"
    )._replace(warning=True),
    "batches of a model with a batch of one size": Mistake(
        {"config.pbtxt": "max_batch_size: 8", FILE: build.fixed_batch}, "config.pbtxt:1", "INPUT0 (FP32 [4,16])",
        "a first dimension of -1 everywhere", "Export the model with a batch axis of any size"),
    "batching without a batch dimension": Mistake(
        {"config.pbtxt": "dynamic_batching { }", FILE: build.nonbatching}, "config.pbtxt:1", "'max_batch_size' of 0",
        "max_batch_size > 0", "Set max_batch_size if the model has a batch dimension", warning=True),
    "what only tunes and is not there yet": config(
        "metric_tags { key: 'team' value: 'vision' }", "1", "'metric_tags'", "", "Leave it for a server"
    )._replace(warning=True),
}  # fmt: skip

DIRECTORIES = {
    "a model without a version's directory": Mistake(
        {"model.onnx": LINEAR}, "", "none", "a directory '{model}/1'",
        "'model.onnx' belongs into a version directory: '{model}/1/model.onnx'"),
    "a version's directory with a letter": Mistake(
        {"v1/model.onnx": LINEAR}, "", "none", "a directory '{model}/1'", "Rename 'v1' to '1'"),
    "a version's directory with leading zeros": Mistake(
        {FILE: LINEAR, "02/model.onnx": LINEAR}, "02", "'02'", "a plain number", "Rename it to '2'", warning=True),
    "a file that is called like a version": Mistake(
        {FILE: LINEAR, "2": LINEAR}, "2", "a file", "a directory", "into a directory '2'", warning=True),
    "a version that a policy lists and nobody has": Mistake(
        {FILE: LINEAR, "config.pbtxt": "version_policy { specific { versions: [ 1, 3 ] } }"}, "config.pbtxt:1",
        "versions 1", "a directory '{model}/3'", "Add the directory, or remove the version", warning=True),
    "a directory that means nothing": Mistake(
        {"latest/model.onnx": LINEAR}, "", "none", "a directory '{model}/1'", "Put the model's file into '{model}/1'"),
    "no version at all": Mistake({"README": "soon"}, "", "none", "'{model}/1'", "Put the model's file into"),
    "a repository in place of a model": Mistake(
        {"digits/1/model.onnx": LINEAR, "faces/config.pbtxt": GOOD}, "", "none", "a directory '{model}/1'",
        "'{model}' is a repository itself, of digits, faces: give it as one"),
    "a config of another name": Mistake(
        {"Config.txt": GOOD, FILE: LINEAR}, "Config.txt", "'Config.txt'", "'{model}/config.pbtxt'",
        "Move it to '{model}/config.pbtxt'", warning=True),
    "a config of another format": Mistake(
        {"config.json": "{ }", FILE: LINEAR}, "config.json", "'config.json'", "'{model}/config.pbtxt'",
        "Write it as protobuf text", warning=True),
    "a config in a version's directory": Mistake(
        {"1/config.pbtxt": GOOD, FILE: LINEAR}, "1/config.pbtxt", "in a version's directory", "'{model}/config.pbtxt'",
        "Move it to '{model}/config.pbtxt'", warning=True),
    "a directory in place of the config": Mistake(
        {"config.pbtxt/x": "", FILE: LINEAR}, "config.pbtxt", "a directory", "a file",
        "Write the config into a plain file"),
    "a copy that has not ended": Mistake(
        {"1/model.onnx.part": LINEAR}, "1", "no files but model.onnx.part", "a model file (*.onnx",
        "Rename 'model.onnx.part' once it is complete"),
    "an ending in capitals": Mistake(
        {"1/Net.ONNX": LINEAR}, "1", "Net.ONNX", "a model file (*.onnx", "Rename 'Net.ONNX' to 'Net.onnx'"),
    "several model files": Mistake(
        {"1/a.onnx": LINEAR, "1/b.onnx": LINEAR}, "1", "several model files (a.onnx, b.onnx)", "one, or a 'default",
        'Write default_model_filename: "a.onnx"'),
    "a Keras model": Mistake({"1/model.h5": b"\x89HDF"}, "1", "model.h5", "a model file", "a Keras model: convert"),
    "a TensorFlow model": Mistake(
        {"1/model.savedmodel/saved_model.pb": b"x"}, "", "'tensorflow'", "one of identity, onnxruntime",
        "with tf2onnx"),
    "an OpenVINO model": Mistake(
        {"1/model.xml": "<net/>", "1/model.bin": b"x"}, "", "'openvino'", "one of identity, onnxruntime",
        "Serve the ONNX model that it was made from"),
    "weights beside what is no model": Mistake(
        {"1/a.bin": b"x", "1/net.xml": "<net/>"}, "1", "a.bin, net.xml", "a model file", "'net.xml' is an OpenVINO"),
    "a model one level too low": Mistake(
        {"1/onnx/model.onnx": LINEAR}, "1", "onnx", "a model file (*.onnx",
        "Move 'onnx/model.onnx' up into '{model}/1'"),
    "a model in a directory of the usual name": Mistake(
        {"1/model/model.onnx": LINEAR, "config.pbtxt": GOOD}, "1", "model", "'{model}/1/model.onnx'",
        "Move 'model/model.onnx' up into '{model}/1', or write default_model_filename: \"model/model.onnx\""),
    "a file's path from the model's directory": Mistake(
        {FILE: LINEAR, "config.pbtxt": 'default_model_filename: "1/model.onnx"'}, "config.pbtxt:1", "model.onnx",
        "'{model}/1/1/model.onnx'", 'Write default_model_filename: "model.onnx"'),
    "a scikit-learn model": Mistake({"1/model.pkl": b"\x80"}, "1", "model.pkl", "a model file", "with skl2onnx"),
    "a model of the Python backend": Mistake(
        {"1/model.py": "x = 1", "1/weights.bin": b"x"}, "", "'python'", "one of identity, onnxruntime",
        "Serve the model that model.py calls"),
    "a PyTorch model": Mistake(
        {"1/model.pt": b"PK\x03\x04"}, "", "'pytorch'", "one of identity, onnxruntime", "Export the model to ONNX"),
    "a link to nothing": Mistake(
        {FILE: _link("gone.onnx")}, "1", "a link to 'gone.onnx'", "that exists", "Point the link at what it should"),
    "a link in a circle": Mistake(
        {FILE: LINEAR, "1/self": _link("..")}, "1", "a link to a directory that it stands in", "a plain file",
        "Remove the link"),
    "a version that is a link to nothing": Mistake(
        {"1": _link("/nowhere")}, "1", "a link to '/nowhere'", "a link to a file or directory", "Point the link at"),
    "files that everyone can write to": Mistake(
        {FILE: _writable}, FILE, "mode 0666", "no write permission for others", "chmod -R o-w '{model}'", warning=True),
}  # fmt: skip

FILES = {
    "an empty file": file(b"", "the file is empty", "an ONNX model", "Copy the file again"),
    "a pointer of Git LFS": file(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer", "an ONNX model",
        "Run git lfs pull"),
    "a web page": file(b"<!DOCTYPE html><html>", "is an HTML or XML page", "an ONNX model", "Download the file again"),
    "a zip archive": file(b"PK\x03\x04" + bytes(99), "is a zip archive", "an ONNX model", "(torch.onnx.export)"),
    "a pickle": file(pickle.dumps({"weights": [1] * 99}), "is a pickle", "an ONNX model", "Export the model to ONNX"),
    "a gzip archive": file(b"\x1f\x8b" + bytes(99), "is a gzip archive", "an ONNX model", "Unpack it"),
    "an HDF5 file": file(b"\x89HDF\r\n\x1a\n", "is an HDF5 file", "an ONNX model", "with tf2onnx"),
    "a file that was made and not filled": file(bytes(5000), "begins with zeros only", "an ONNX model", "Copy"),
    "a download cut short": file(
        LINEAR[:-20], "is not a complete ONNX model: it is cut short", "a complete ONNX model", "Copy the file again"),
    "weights that were left behind": file(
        _without_weights, "External data path does not exist", "a model that ONNX Runtime",
        "Put the file of the weights"),
    "an opset of the future": file(
        _edited(lambda model: setattr(model.opset_import[0], "version", 99)), "Opset 99 is under development",
        "a model that ONNX Runtime", "Export the model with an older opset, or upgrade onnxruntime"),
    "a format of the future": file(
        _edited(lambda model: setattr(model, "ir_version", 99)), "Unsupported model IR version: 99",
        "a model that ONNX Runtime", "Export the model with an older version of onnx"),
    "an operator of somebody's own": file(
        _edited(_custom), "is not a registered function/op", "a model that ONNX Runtime", "without custom operators"),
}  # fmt: skip

MISTAKES = {**CONFIGS, **DIRECTORIES, **FILES}


def directory_name(mistake: str) -> str:
    """What the model with this mistake is called."""
    return mistake.replace(" ", "_").replace("'", "")


def plant(root: Path, mistake: str) -> Path:
    """Write the model with this mistake into a repository, and return its directory."""
    directory = root / directory_name(mistake)
    MISTAKES[mistake].plant(directory)
    return directory
