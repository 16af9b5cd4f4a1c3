"""Taking requests back, running out of time, and closing a client while calls are on their way."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable

import grpc
import pytest

from naiad_client import AsyncClient, Cancelled, Client, DeadlineExceeded, InputError, Internal, NotFound
from tests.clients.python.conftest import Open
from tests.clients.python.scripted import PATIENCE, Hold, Scripted, fails


@pytest.fixture
def hold(server: Scripted) -> Hold:
    """The first inference waits in the server."""
    held = Hold()
    server.script.append(held)
    return held


async def begun(hold: Hold) -> None:
    assert await asyncio.to_thread(hold.begun.wait, PATIENCE)


async def within(awaitable: Awaitable[object]) -> object:
    return await asyncio.wait_for(awaitable, PATIENCE)


def test_a_call_ends_when_its_time_is_over(server: Scripted, opened: Open, hold: Hold) -> None:
    with pytest.raises(DeadlineExceeded, match="infer 'm' at"):
        opened(server.address).infer("m", [1.0], timeout=0.2)
    assert hold.cancelled.wait(PATIENCE)
    hold.released.set()


def test_time_for_metadata_counts_as_well(server: Scripted, opened: Open) -> None:
    held = Hold()
    server.metadata_script.append(held)
    with pytest.raises(DeadlineExceeded, match="metadata 'm' at"):
        opened(server.address).infer("m", [1.0], timeout=0.2)
    held.released.set()
    assert server.attempts == []


def test_who_waits_for_the_metadata_that_another_fetches_has_a_deadline_of_its_own(server: Scripted) -> None:
    held = Hold()
    server.metadata_script.append(held)
    with Client(server.address) as client, concurrent.futures.ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.infer, "m", [1.0])
        assert held.begun.wait(PATIENCE)
        with pytest.raises(DeadlineExceeded, match="other threads were fetching metadata"):
            client.infer("m", [2.0], timeout=0.1)
        held.released.set()
        assert first.result(PATIENCE).y.tolist() == [1.0]


def test_a_future_gives_the_result_and_calls_back(server: Scripted) -> None:
    with Client(server.address) as client:
        called = threading.Event()
        future = client.submit("m", [1.0])
        future.add_done_callback(lambda _: called.set())
        assert future.result(PATIENCE).y.tolist() == [1.0]
        assert called.wait(PATIENCE)
        assert not future.cancel()
        assert not future.cancelled()


def test_futures_can_be_waited_for_together(server: Scripted) -> None:
    with Client(server.address) as client:
        futures = [client.submit("m", [float(value)]) for value in range(20)]
        done = [future.result().y[0] for future in concurrent.futures.as_completed(futures, PATIENCE)]
    assert sorted(done) == list(range(20))


def test_a_future_raises_the_typed_error_and_its_model_is_learnt_anew(server: Scripted) -> None:
    server.script.append(fails(grpc.StatusCode.NOT_FOUND, "gone"))
    with Client(server.address) as client:
        with pytest.raises(NotFound, match=r"infer 'm' at .*: NOT_FOUND: gone"):
            client.submit("m", [1.0]).result(PATIENCE)
        client.submit("m", [1.0]).result(PATIENCE)
    assert len(server.metadata_requests) == 2


def test_inputs_that_do_not_fit_are_told_before_there_is_a_future(server: Scripted) -> None:
    with Client(server.address) as client, pytest.raises(InputError):
        client.submit("m", ["text"])


def test_a_cancelled_future_takes_its_request_back(
    server: Scripted, hold: Hold, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(server.address) as client:
        future = client.submit("m", [1.0])
        assert hold.begun.wait(PATIENCE)
        assert future.cancel()
        assert future.cancelled()
        assert hold.cancelled.wait(PATIENCE)
        done, _ = concurrent.futures.wait([future], PATIENCE)
        assert done == {future}
        with pytest.raises(concurrent.futures.CancelledError):
            future.result()
        hold.released.set()
        assert client.infer("m", [2.0]).y.tolist() == [2.0]
    assert caplog.records == []


def test_closing_a_client_ends_the_calls_on_their_way(server: Scripted, hold: Hold) -> None:
    client = Client(server.address)
    future = client.submit("m", [1.0])
    assert hold.begun.wait(PATIENCE)
    client.close()
    with pytest.raises(Cancelled):
        future.result(PATIENCE)
    hold.released.set()


async def test_a_cancelled_task_takes_its_request_back(server: Scripted, hold: Hold) -> None:
    async with AsyncClient(server.address) as client:
        task = asyncio.create_task(client.infer("m", [1.0]))
        await begun(hold)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(hold.cancelled.wait, PATIENCE)
        hold.released.set()
        assert (await client.infer("m", [2.0])).y.tolist() == [2.0]


async def test_closing_an_async_client_ends_the_calls_on_their_way_and_cancels_no_task(
    server: Scripted, hold: Hold
) -> None:
    client = AsyncClient(server.address)
    task = asyncio.create_task(client.infer("m", [1.0]))
    await begun(hold)
    await client.close()
    with pytest.raises(Cancelled, match="the client was closed"):
        await within(task)
    hold.released.set()


async def test_tasks_fetch_the_metadata_of_a_model_once(server: Scripted) -> None:
    async with AsyncClient(server.address) as client:
        results = await asyncio.gather(*(client.infer("m", [float(value)]) for value in range(20)))
    assert [result.y[0] for result in results] == list(range(20))
    assert len(server.metadata_requests) == 1


async def test_a_task_that_is_cancelled_while_it_fetches_metadata_costs_the_others_nothing(server: Scripted) -> None:
    held = Hold()
    server.metadata_script.append(held)
    async with AsyncClient(server.address) as client:
        first = asyncio.create_task(client.infer("m", [1.0]))
        await begun(held)
        second = asyncio.create_task(client.infer("m", [2.0]))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await client.infer("m", [3.0])).y.tolist() == [3.0]
        assert (await second).y.tolist() == [2.0]
        held.released.set()


async def test_failed_metadata_is_fetched_again_by_the_next_task(server: Scripted) -> None:
    server.metadata_script.append(fails(grpc.StatusCode.INTERNAL))
    async with AsyncClient(server.address) as client:
        ended = await asyncio.gather(*(client.infer("m", [1.0]) for _ in range(3)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == [Internal.__name__, "Result", "Result"]


def test_an_async_client_is_made_inside_its_event_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        AsyncClient("localhost:8001")
