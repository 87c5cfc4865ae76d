"""A request that the kernel takes back between the look and the read must not hold the thread."""

from __future__ import annotations

import os

import pytest
import trio

from libos.fs.eager import eager_trio


async def test_a_worker_begins_again_when_its_request_is_gone() -> None:
    reader, writer = os.pipe()
    calls = 0
    try:
        standin = eager_trio(reader)

        async def worker(nursery: object, word: str) -> None:
            nonlocal calls
            calls += 1
            if calls < 3:
                os.read(reader, 1)  # nothing is there: EAGAIN, where a blocking descriptor would never return
            assert word == "word"

        with trio.fail_after(20):
            async with standin.open_nursery() as nursery:
                nursery.start_soon(worker, nursery, "word", name="worker")
    finally:
        os.close(reader)
        os.close(writer)
    assert calls == 3


async def test_another_error_of_a_worker_ends_the_session() -> None:
    reader, writer = os.pipe()

    async def worker(nursery: object) -> None:
        raise OSError(5, "the device is gone")

    try:
        with pytest.RaisesGroup(OSError):
            async with eager_trio(reader).open_nursery() as nursery:
                nursery.start_soon(worker, nursery, name="worker")
    finally:
        os.close(reader)
        os.close(writer)
