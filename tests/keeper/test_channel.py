"""Messages with descriptors, of every size, over real sockets."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from libos.keeper import channel

# What JSON can say.
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
MESSAGES = some.dictionaries(some.text(max_size=10), VALUES, max_size=5)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = channel.pair()
    with one, other:
        yield one, other


@given(MESSAGES)
@settings(max_examples=50)
def test_a_message_comes_back_as_it_went(message: dict[str, Any]) -> None:
    one, other = channel.pair()
    with one, other:
        channel.send(one, message)
        assert channel.receive(other) == (message, [])


@pytest.mark.parametrize("size", [0, 65_000, 66_000, 5_000_000])
def test_any_size_passes_with_its_descriptors(ends: tuple[socket.socket, socket.socket], size: int) -> None:
    one, other = ends
    message = {"text": "x" * size}
    with open("/proc/self/stat") as file:
        channel.send(one, message, [file.fileno()])
        received = channel.receive(other)
        assert received is not None
        assert received[0] == message
        (fd,) = received[1]
        try:
            assert os.path.samestat(os.fstat(fd), os.fstat(file.fileno()))
            assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        finally:
            os.close(fd)


def test_as_many_descriptors_as_a_message_can_carry(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    fds = [os.dup(one.fileno()) for _ in range(channel.FD_LIMIT)]
    try:
        channel.send(one, {}, fds)
        received = channel.receive(other)
        assert received is not None
        assert len(received[1]) == channel.FD_LIMIT
        fds += received[1]
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize("size", [0, 66_000])
def test_more_descriptors_than_a_packet_carries_come_in_their_order(
    ends: tuple[socket.socket, socket.socket], size: int
) -> None:
    one, other = ends
    message = {"text": "x" * size}
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3 * channel.FD_LIMIT + 5)]
        before = len(os.listdir("/proc/self/fd"))
        channel.send(one, message, [file.fileno() for file in files])
        received = channel.receive(other)
        assert received is not None
        assert received[0] == message
        assert [os.fstat(fd).st_ino for fd in received[1]] == [os.fstat(f.fileno()).st_ino for f in files]
        for fd in received[1]:
            os.close(fd)
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("fds", ["none", "a file", "two", "no end", "not connected"])
def test_a_queue_of_descriptors_that_is_none_is_refused_and_leaves_nothing_open(
    ends: tuple[socket.socket, socket.socket], fds: str
) -> None:
    one, other = ends
    with contextlib.ExitStack() as stack:
        queue = [stack.enter_context(end) for end in channel.pair()]
        file = stack.enter_context(open("/proc/self/stat"))
        alone = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        said = {
            "none": [],
            "a file": [file.fileno()],
            "two": [end.fileno() for end in queue],
            "no end": [queue[0].fileno()],
            "not connected": [alone.fileno()],
        }[fds]
        before = len(os.listdir("/proc/self/fd"))
        socket.send_fds(one, [b"\1{}"], said)
        with pytest.raises((ValueError, OSError)):
            channel.receive(other)
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_end_of_the_other_side_is_none_and_epipe(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    other.close()
    assert channel.receive(one) is None
    with pytest.raises(BrokenPipeError):
        channel.send(one, {})


@pytest.mark.parametrize("packet", [b"[]", b"1", b"{", b"\xff", b"\0"])
def test_what_is_no_message_is_an_error(packet: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        channel.decode(packet, [])


def test_messages_of_several_senders_stay_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    count = 200

    def send(number: int) -> None:
        for _ in range(count):
            channel.send(one, {"from": number, "text": f"{number}" * 500})

    senders = [threading.Thread(target=send, args=(number,)) for number in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(count * len(senders)):
        received = channel.receive(other)
        assert received is not None
        assert received[0]["text"] == f"{received[0]['from']}" * 500
    for sender in senders:
        sender.join()
