"""Configs that clients give as JSON."""

from __future__ import annotations

import json

import pytest

from naiad.core.errors import InvalidArgument
from naiad.protocol import model_config_pb2
from naiad.repository.given_config import MAX_CHARACTERS, parse


def refusal(text: str) -> str:
    with pytest.raises(InvalidArgument, match=r"^Invalid config override: ") as caught:
        parse(text)
    return str(caught.value)


def test_a_config_is_read_with_either_name_of_its_fields_and_enums_of_any_case() -> None:
    found = parse(
        json.dumps(
            {
                "maxBatchSize": 4,
                "version_policy": {"specific": {"versions": ["1", 2]}},
                "input": [{"name": "x", "data_type": "type_fp32", "dims": ["-1"]}],
                "instanceGroup": [{"kind": "Kind_Cpu", "count": 2}],
                "dynamic_batching": {"default_queue_policy": {"timeout_action": "delay"}},
                "parameters": {"session.intra_op.allow_spinning": {"string_value": "1"}},
            }
        )
    )
    policy = model_config_pb2.ModelQueuePolicy
    assert found.max_batch_size == 4
    assert list(found.version_policy.specific.versions) == [1, 2]
    assert (found.input[0].data_type, list(found.input[0].dims)) == (model_config_pb2.TYPE_FP32, [-1])
    assert found.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_CPU
    assert found.dynamic_batching.default_queue_policy.timeout_action == policy.DELAY
    assert found.parameters["session.intra_op.allow_spinning"].string_value == "1"


def test_every_field_that_is_not_known_is_named_with_what_was_probably_meant() -> None:
    text = refusal('{"max_batchsize": 1, "input": [{"dimss": [1]}], "parameters": {"k": {"value": "v"}}, "zzz": 1}')
    assert "there is no field 'max_batchsize', did you mean 'max_batch_size'?" in text
    assert "there is no field 'input[0].dimss', did you mean 'dims'?" in text
    assert "there is no field 'parameters[\"k\"].value', did you mean 'string_value'?" in text
    assert text.endswith("there is no field 'zzz'")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value"),
        ("[]", "got list, expected an object"),
        ('"name"', "got str, expected an object"),
        ('{"name": "a", "name": "b"}', "'name' is given twice"),
        ('{"max_batch_size": "four"}', "max_batch_size"),
        ('{"max_batch_size": 1e400}', "max_batch_size"),
        ('{"input": [{"data_type": "TYPE_FP31"}]}', "TYPE_FP31"),
        ('{"input": {"name": "x"}}', "input"),
        ('{"parameters": [1]}', "parameters"),
        ('{"version_policy": 1}', "version_policy"),
        ("[" * 100_000, "recursion"),
        ('{"input":' * 5_000, "recursion"),
        (" " * (MAX_CHARACTERS + 1), f"expected {MAX_CHARACTERS} at most"),
    ],
)
def test_what_is_no_config_is_refused_with_what_is_wrong(text: str, told: str) -> None:
    assert told in refusal(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("session.optimized_model_filepath", "1"),
        ("session.collect_node_memory_stats_to_file", "1"),
        ("session.model_external_initializers_file_folder_path", "/etc"),
        ("session.moe.offload.source_root", "1"),
        ("session.something_new", "/tmp/written"),
    ],
)
def test_parameters_that_may_name_a_file_of_the_server_are_refused(key: str, value: str) -> None:
    text = refusal(json.dumps({"parameters": {key: {"string_value": value}}}))
    assert f"parameter '{key}' is '{value}', expected a number" in text
