"""No outcome of a call is lost on its way from a thread to the op that awaits it."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError

import pytest

from moonx_pipeline.defs.executor import in_thread


def test_a_result_arrives() -> None:
    assert asyncio.run(asyncio.wait_for(in_thread(divmod, 7, 2), 10)) == (3, 1)


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), GeneratorExit()])
def test_an_error_arrives_as_it_is(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def awaited() -> BaseException | None:
        try:
            await asyncio.wait_for(in_thread(fail), 10)
        except BaseException as arrived:
            return arrived
        return None

    assert asyncio.run(awaited()) is error


@pytest.mark.parametrize(
    ("error", "arrives"), [(StopIteration("none fits"), RuntimeError), (CancelledError(), BaseException)]
)
def test_an_error_that_no_future_takes_arrives_all_the_same(error: BaseException, arrives: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    async def awaited() -> str:
        with pytest.raises(arrives) as problem:
            await asyncio.wait_for(in_thread(fail), 10)
        assert not isinstance(problem.value, TimeoutError)
        return str(problem.value)

    assert str(error) in asyncio.run(awaited())
