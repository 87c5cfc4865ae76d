"""Fixtures of the network tests, as a plugin: one namespace for all of them, and a gate for it."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import trio
from network import HERE, PACKAGE, Events, Inside, Resolver, nothing_left_open

from libos.net.gate import Gate


@pytest.fixture(scope="session", params=["flat", "routed"])
def inside(request: pytest.FixtureRequest) -> Iterator[Inside]:
    """A world's network, as it is made where nothing else is asked for, and where it must be routed."""
    with _network(request.param) as made:
        yield made


@pytest.fixture
def fresh() -> Iterator[Inside]:
    """A routed network of the test's own: it may do what cannot be undone."""
    with _network("routed") as made:
        yield made


@contextmanager
def _network(kind: str) -> Iterator[Inside]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        program = [sys.executable, "-I", "-S", os.path.join(HERE, "inside.py")]
        command = [*program, PACKAGE, str(theirs.fileno()), kind]
        child = subprocess.Popen(["unshare", "-Urnpf", *command], pass_fds=[theirs.fileno()])
        theirs.close()
        assert ours.recv(100) == b"ready", "the namespace could not be made"
        yield Inside(ours, routed=kind == "routed")
        ours.shutdown(socket.SHUT_RDWR)
        assert child.wait(30) == 0


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """As many descriptors as this process may have: a shell's usual limit of 1024 is raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def events() -> Events:
    return Events()


@pytest.fixture
async def gate(inside: Inside, events: Events) -> AsyncIterator[Gate]:
    """A gate that runs, and that has closed everything when the test ends."""
    trio.socket.set_custom_hostname_resolver(Resolver())
    gate = inside.gate(events)
    async with nothing_left_open(), trio.open_nursery() as nursery:
        await nursery.start(gate.run)
        yield gate
        nursery.cancel_scope.cancel()
