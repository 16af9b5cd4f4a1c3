"""Both clients against a real server: right answers, exact counts, and refusals as the server means them."""

import asyncio
import concurrent.futures
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from naiad_client import AsyncClient, Client, DeadlineExceeded, Health, InvalidArgument, NotFound, Unavailable
from tests.clients.python.conftest import Open
from tests.e2e import held_out
from tests.e2e.conftest import SAMPLES
from tests.e2e.models import identity
from tests.e2e.server import PATIENCE, Server

DIGITS, LANGUAGE = held_out.digits(), held_out.language()
BATCH = 64


@pytest.mark.parametrize("version", [1, "2", ""])
def test_the_held_out_digits_are_answered_as_offline(samples: Server, opened: Open, version: int | str) -> None:
    client = opened(samples.grpc)
    pieces = range(0, len(DIGITS.input), BATCH)
    found = [client.infer("digits", DIGITS.input[at : at + BATCH], version=version).probabilities for at in pieces]
    assert DIGITS.correct(np.concatenate(found)) == held_out.recorded("digits", str(version or 2))


def test_texts_go_in_and_out_as_str(samples: Server, opened: Open) -> None:
    result = opened(samples.grpc).infer("language", [["Wo ist der Bahnhof?"], ["Где находится вокзал?"]])
    assert result.text("language").tolist() == [["de"], ["ru"]]
    assert result.language.tolist() == [[b"de"], [b"ru"]]


async def test_many_tasks_share_a_connection(samples: Server) -> None:
    rows = [[row] for row in LANGUAGE.input.tolist()]
    async with AsyncClient(samples.grpc) as client:
        results = await asyncio.gather(*(client.infer("language", row, outputs=["probabilities"]) for row in rows))
    assert {tuple(result) for result in results} == {("probabilities",)}
    correct = LANGUAGE.correct(np.concatenate([result.probabilities for result in results]))
    assert correct == held_out.recorded("language", "1")


def test_large_tensors_pass_both_ways(samples: Server, opened: Open) -> None:
    large = np.random.default_rng(0).random((5, 2**20), np.float32)
    assert np.array_equal(opened(samples.grpc).infer("echo", large).OUTPUT0, large)


def test_what_the_server_tells_of_itself(samples: Server, opened: Open) -> None:
    client = opened(samples.grpc)
    assert (client.live(), client.ready(), client.ready("digits", 1)) == (True, True, True)
    assert (client.ready("digits", 9), client.ready("nothing")) == (False, False)
    assert (client.health(), client.health("digits")) == (Health.SERVING, Health.SERVING)
    assert client.server_metadata().name == "naiad"
    with pytest.raises(NotFound):
        client.health("nothing")


def test_what_the_server_tells_of_its_models(samples: Server, opened: Open) -> None:
    client = opened(samples.grpc)
    metadata = client.metadata("digits", 2)
    assert metadata.versions == ("2",)
    assert metadata.inputs == (("image", "FP32", (-1, 8, 8)),)
    assert [tensor.name for tensor in metadata.outputs] == ["probabilities", "label"]
    assert client.config("digits").max_batch_size == BATCH
    assert {(entry.name, entry.version): entry.state for entry in client.index(ready=True)} == {
        ("digits", "1"): "READY",
        ("digits", "2"): "READY",
        ("echo", "1"): "READY",
        ("language", "1"): "READY",
    }
    assert {(each.name, each.version) for each in client.statistics("digits")} == {("digits", "1"), ("digits", "2")}


def test_what_the_server_refuses_is_told_in_its_words(samples: Server, opened: Open) -> None:
    client = opened(samples.grpc)
    with pytest.raises(NotFound, match=r"metadata 'nothing' at .*: NOT_FOUND: Request for unknown model: 'nothing'"):
        client.infer("nothing", [1.0])
    with pytest.raises(InvalidArgument, match=r"infer 'digits' at .*inference request batch-size must be <= 64"):
        client.infer("digits", DIGITS.input[: BATCH + 1])
    with pytest.raises(InvalidArgument, match="unexpected inference output 'lable' for model 'digits'"):
        client.infer("digits", DIGITS.input[:1], outputs=["lable"])


def test_what_was_inferred_is_counted(tmp_path: Path, opened: Open) -> None:
    with Server(identity(tmp_path, "counted", max_batch_size=8)) as server:
        client = opened(server.grpc)
        for rows in (1, 2, 5):
            assert client.infer("counted", np.ones((rows, 1))).OUTPUT0.shape == (rows, 1)
        (counted,) = client.statistics("counted")
    assert (counted.inference_count, counted.execution_count, counted.inference_stats.success.count) == (8, 3, 3)


def test_a_request_taken_back_in_the_queue_is_never_executed(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", 1000)) as server, Client(server.grpc) as client:
        first = client.submit("busy", [[1.0]])
        client.statistics("busy")  # behind it on the same connection: the model is busy now
        second, third = client.submit("busy", [[2.0]]), client.submit("busy", [[3.0]])
        client.statistics("busy")
        assert second.cancel()
        late = client.submit("busy", [[4.0]], timeout=0.1)
        with pytest.raises(DeadlineExceeded):
            late.result(PATIENCE)
        assert not first.done()
        assert [call.result(PATIENCE).OUTPUT0.item() for call in (first, third)] == [1.0, 3.0]
        (counted,) = client.statistics("busy")
    assert (counted.inference_count, counted.inference_stats.success.count) == (2, 2)
    assert counted.inference_stats.fail.count == 2


async def test_a_cancelled_task_s_request_is_never_executed(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", 1000)) as server:
        async with AsyncClient(server.grpc) as client:
            await client.infer("busy", [[0.0]])
            tasks = [asyncio.create_task(client.infer("busy", [[value]])) for value in (1.0, 2.0, 3.0)]
            await client.statistics("busy")  # behind them on the same connection
            tasks[1].cancel()
            first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
            (counted,) = await client.statistics("busy")
    assert isinstance(second, asyncio.CancelledError)
    assert not isinstance(first, BaseException)
    assert not isinstance(third, BaseException)
    assert (first.OUTPUT0.item(), third.OUTPUT0.item()) == (1.0, 3.0)
    assert counted.inference_count == 3


def test_a_full_queue_s_refusal_is_not_sent_again(tmp_path: Path) -> None:
    policy = "dynamic_batching { default_queue_policy { max_queue_size: 1 } }"
    with Server(identity(tmp_path, "full", 1000, more=policy)) as server, Client(server.grpc) as client:
        futures = [client.submit("full", [[float(value)]]) for value in range(5)]
        concurrent.futures.wait(futures, PATIENCE)
        refused = [future for future in futures if future.exception()]
        (counted,) = client.statistics("full")
    assert len(refused) >= 3  # at most one was in the queue when the first was taken from it
    for future in refused:
        with pytest.raises(Unavailable, match="Exceeds maximum queue size"):
            future.result()
    assert counted.inference_stats.fail.count == len(refused)
    assert counted.inference_stats.success.count == len(futures) - len(refused)


def test_a_server_that_starts_anew_is_found_again(tmp_path: Path) -> None:
    repository = identity(tmp_path, "kept")
    with Server(repository) as server:
        address = server.grpc
        client = Client(address)
        assert client.infer("kept", [[1.0]]).OUTPUT0.item() == 1.0
    with Server(repository, flags=[f"--grpc-port={address.rpartition(':')[2]}"]):
        assert client.infer("kept", [[2.0]]).OUTPUT0.item() == 2.0
    client.close()


@pytest.mark.timeout(120)
def test_the_example_prints_the_accuracy_on_record(samples: Server) -> None:
    program = SAMPLES.parent / "clients/python/examples/digits.py"
    command = [sys.executable, "-W", "error", str(program), samples.grpc]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    right = held_out.recorded("digits", "2")
    assert done.stdout == f"digits, version 2: {right} of 597 right (97.3%)\n"
