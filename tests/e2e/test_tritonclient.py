"""The unmodified Triton client against the sample repository: every answer is the one that the models give offline.

Both of its clients are tried, over every gRPC transport of the server.

Batches of the same composition give the same bits. Where the server may batch as it likes, single rows differ in the
last bits, since ONNX Runtime multiplies matrices of different sizes in different orders: ROUNDING bounds that.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio

from tests.e2e import held_out
from tests.e2e.held_out import Array, Examples, Offline
from tests.e2e.server import PATIENCE, Server

ROUNDING = 1e-5
LARGEST_BATCH = 64
VERSIONS = ["1", "2"]


@pytest.fixture(scope="module")
def samples(samples_over_each_transport: Server) -> Server:
    return samples_over_each_transport


@pytest.fixture(scope="module")
def digits() -> Examples:
    return held_out.digits()


@pytest.fixture(scope="module")
def client(samples: Server) -> Iterator[Any]:
    client = triton.InferenceServerClient(samples.grpc)
    yield client
    client.close()


def given(name: str, datatype: str, array: Array) -> list[Any]:
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return [tensor]


def images(array: Array) -> list[Any]:
    return given("image", "FP32", array)


@pytest.mark.parametrize("version", VERSIONS)
def test_batches_of_held_out_digits_get_the_bits_that_the_model_gives_offline(
    client: Any, digits: Examples, version: str
) -> None:
    offline, correct = Offline("digits", version), 0
    for start in range(0, len(digits.input), LARGEST_BATCH):
        batch = digits.input[start : start + LARGEST_BATCH]
        result = client.infer("digits", images(batch), version)
        assert result.get_response().model_version == version
        for name, expected in offline.infer(batch).items():
            np.testing.assert_array_equal(result.as_numpy(name), expected)
        correct += Examples(batch, digits.truth[start : start + LARGEST_BATCH]).correct(
            result.as_numpy("probabilities")
        )
    assert correct == held_out.recorded("digits", version)


@pytest.mark.parametrize("version", VERSIONS)
def test_single_digits_from_many_threads_get_exactly_the_offline_accuracy(
    client: Any, digits: Examples, version: str
) -> None:
    def infer(image: Array) -> Array:
        (answer,) = client.infer("digits", images(image[np.newaxis]), version).as_numpy("probabilities")
        return np.asarray(answer)

    with ThreadPoolExecutor(16) as pool:
        answers = np.stack(list(pool.map(infer, digits.input)))
    np.testing.assert_allclose(answers, Offline("digits", version).infer(digits.input)["probabilities"], atol=ROUNDING)
    assert digits.correct(answers) == held_out.recorded("digits", version)


async def test_all_digits_at_once_over_asyncio_get_exactly_the_offline_accuracy(
    samples: Server, digits: Examples
) -> None:
    async with triton_aio.InferenceServerClient(samples.grpc) as client:
        calls = [client.infer("digits", images(image[np.newaxis]), client_timeout=PATIENCE) for image in digits.input]
        results = await asyncio.gather(*calls)
    answers = np.concatenate([result.as_numpy("probabilities") for result in results])
    assert {result.get_response().model_version for result in results} == {"2"}
    assert digits.correct(answers) == held_out.recorded("digits", "2")


def test_callbacks_of_the_client_get_every_answer_under_its_own_id(client: Any, digits: Examples) -> None:
    arrived: SimpleQueue[tuple[Any, Any]] = SimpleQueue()

    def answer(result: Any, error: Any) -> None:
        arrived.put((result, error))

    for at, image in enumerate(digits.input):
        client.async_infer("digits", images(image[np.newaxis]), answer, request_id=str(at))
    ended = [arrived.get(timeout=PATIENCE) for _ in digits.input]
    assert [error for _, error in ended if error] == []
    answers = {int(result.get_response().id): int(result.as_numpy("label")[0, 0]) for result, _ in ended}
    expected = Offline("digits", "2").infer(digits.input)["label"][:, 0].tolist()
    assert [answers[at] for at in range(len(digits.input))] == expected


def test_texts_get_the_languages_and_the_accuracy_that_the_model_gives_offline(client: Any) -> None:
    texts, correct = held_out.language(), 0
    offline = Offline("language", "1")
    for start in range(0, len(texts.input), LARGEST_BATCH):
        batch = texts.input[start : start + LARGEST_BATCH]
        result = client.infer("language", given("text", "BYTES", batch))
        expected = offline.infer(batch)
        np.testing.assert_array_equal(result.as_numpy("probabilities"), expected["probabilities"])
        assert result.as_numpy("language").tolist() == [[name.encode()] for name in expected["language"][:, 0]]
        correct += Examples(batch, texts.truth[start : start + LARGEST_BATCH]).correct(expected["probabilities"])
    assert correct == held_out.recorded("language", "1")


def test_a_text_that_is_not_utf8_fails_alone(client: Any) -> None:
    wrong = given("text", "BYTES", np.array([[b"\xff\xfe"]], dtype=object))
    with pytest.raises(triton.InferenceServerException, match="UTF-8") as refused:
        client.infer("language", wrong)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    fine = client.infer("language", given("text", "BYTES", np.array([["Das ist ein deutscher Satz."]], dtype=object)))
    assert fine.as_numpy("language").tolist() == [[b"de"]]


@pytest.mark.parametrize("length", [0, 1, 1000, 300_000])
def test_echo_returns_any_length_bit_by_bit(client: Any, length: int) -> None:
    array = np.random.default_rng(length).integers(0, 2**32, (3, length), dtype=np.uint32).view(np.float32)
    result = client.infer("echo", given("INPUT0", "FP32", array)).as_numpy("OUTPUT0")
    assert (result.shape, result.tobytes()) == (array.shape, array.tobytes())


def test_the_sample_repository_is_listed_ready_model_by_model(client: Any) -> None:
    index = client.get_model_repository_index().models
    assert [(each.name, each.version, each.state) for each in index] == [
        ("digits", "1", "READY"),
        ("digits", "2", "READY"),
        ("echo", "1", "READY"),
        ("language", "1", "READY"),
    ]
    assert client.is_server_live()
    assert client.is_server_ready()
    assert all(client.is_model_ready(each.name, each.version) for each in index)


def test_the_client_reads_signature_and_config_as_json(client: Any) -> None:
    metadata = client.get_model_metadata("digits", as_json=True)
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["-1", "8", "8"]}]
    config = client.get_model_config("digits", as_json=True)["config"]
    assert (config["name"], config["max_batch_size"], config["backend"]) == ("digits", LARGEST_BATCH, "onnxruntime")
