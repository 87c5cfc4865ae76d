"""Signals that come before it is known that the app runs."""

from __future__ import annotations

import os
import signal

import pytest
import trio
import trio.testing

from libos.cli import signals


class Target:
    """Records what is sent to it."""

    def __init__(self, record: list[str]) -> None:
        self.record = record
        self.continued = trio.Event()

    async def send_signal(self, number: int) -> None:
        self.record.append(signal.Signals(number).name)
        if number == signal.SIGCONT:
            self.continued.set()


async def test_a_stop_that_comes_while_the_app_starts_stops_the_app_too(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    record: list[str] = []
    monkeypatch.setattr(signals, "_stop_here", lambda: record.append("libos"))
    forwarder = signals.Forwarder()
    await nursery.start(forwarder.run)
    os.kill(os.getpid(), signal.SIGTSTP)
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert record == []
    target = Target(record)
    await forwarder.attach(target)
    with trio.fail_after(20):
        await target.continued.wait()
    assert record == ["SIGSTOP", "libos", "SIGCONT"]
    nursery.cancel_scope.cancel()
