"""A clock that jumps: limits and deadlines are of time that passes, not of what a clock on a wall shows."""

from __future__ import annotations

import errno
import time

import pytest
import trio
from running import supervisor as supervisor  # the fixture

import libos
from libos.fs.requests import Request, Requests

YEAR = 366 * 24 * 3600


both_ways = pytest.mark.parametrize("seconds", [YEAR, -YEAR], ids=["forward", "back"])


def jump(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """From here on the clock on the wall is off."""
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + seconds * 1_000_000_000)


def manifest(*command: str, **keys: object) -> dict[str, object]:
    return {"libos": 1, "include": ["base"], "app": {"command": list(command)}, **keys}


@both_ways
@pytest.mark.system
async def test_a_time_limit_passes_and_no_sooner(
    supervisor: libos.Supervisor, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    limited = await supervisor.start(manifest("sleep", "1000", limits={"time": "2s"}))
    long = await supervisor.start(manifest("sleep", "0.5", limits={"time": "1h"}))
    jump(monkeypatch, seconds)
    assert (await long.wait()).reason == "exit"
    assert (await limited.wait()).reason == "time"


@both_ways
async def test_a_waiting_request_has_its_whole_deadline(
    monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    jump(monkeypatch, seconds)
    requests: Requests[str] = Requests()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(requests.look_after)
        with pytest.raises(OSError) as raised:
            await requests.answer(Request("world", 2, 0, True, 0.2), waiting())
        assert raised.value.errno == errno.ETIMEDOUT
        assert await requests.answer(Request("world", 2, 0, True, 3600), answered()) == "answered"
        nursery.cancel_scope.cancel()


async def waiting() -> None:
    await trio.sleep_forever()


async def answered() -> str:
    await trio.sleep(0.2)
    return "answered"
