"""Accepting within limits: short descriptors and too many connections make it wait, not spin and not end."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from network import Events

from libos.net.accept import Acceptor, connection_limit


@contextmanager
def no_descriptor_free() -> Iterator[None]:
    """This process may not open one descriptor more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_descriptors_that_run_out_are_told_once_and_waited_for(events: Events) -> None:
    served = trio.Event()

    async def serve(connection: socket.socket) -> None:
        served.set()

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.setblocking(False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Acceptor(events).accept, listener, serve, "tcp!a!1", nursery)
            await trio.testing.wait_all_tasks_blocked()
            with no_descriptor_free():
                client.connect(listener.getsockname())
                used = time.process_time()
                fields = await events.take("error")
                await trio.sleep(0.35)  # three attempts
                assert time.process_time() - used < 0.1
            assert str(fields["error"]).startswith("EMFILE")
            assert events.seen == []
            with trio.fail_after(20):
                await served.wait()
            nursery.cancel_scope.cancel()


async def test_connections_beyond_the_limit_wait_for_a_place(events: Events) -> None:
    release = trio.Event()
    serving = 0

    async def serve(connection: socket.socket) -> None:
        nonlocal serving
        serving += 1
        await release.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(5)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Acceptor(events, 3).accept, listener, serve, "tcp!a!1", nursery)
            fields = await events.take("error")
            assert fields["error"] == "3 connections are open: further ones wait"
            await trio.testing.wait_all_tasks_blocked()
            assert serving == 3
            release.set()
            await trio.testing.wait_all_tasks_blocked()
            assert serving == 5
            nursery.cancel_scope.cancel()
        for client in clients:
            client.close()


def test_a_world_may_hold_a_part_of_the_descriptors_only() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
        assert connection_limit() == 128
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
