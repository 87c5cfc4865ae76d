"""A capture of a world's link, read by tshark; and the counters of the link."""

from __future__ import annotations

import errno
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from network import Events, Inside, echo, flat_only, nothing_left_open, serve
from test_ranges import ranged, reached

from libos.errors import HostError
from libos.net.gate import Gate
from libos.net.routed import counters, netlink, pcapng
from libos.net.routed.capture import CaptureTo

pytest_plugins = ["gates"]

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def packets(path: Path, *fields: str) -> list[list[str]]:
    """Fields of each packet that tshark finds in a file, in which it finds nothing wrong."""
    wanted = [each for field in fields for each in ("-e", field)]
    command = ["tshark", "-r", str(path), "-T", "fields", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cut short" not in done.stderr
    assert "damaged" not in done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def blocks(path: Path) -> list[tuple[int, bytes]]:
    """Kind and body of each block: their lengths must meet at the end of the file."""
    data, found = path.read_bytes(), []
    while data:
        kind, length = struct.unpack_from("=II", data)
        assert struct.unpack_from("=I", data, length - 4)[0] == length
        found.append((kind, data[8 : length - 4]))
        data = data[length:]
    return found


def statistics(path: Path) -> tuple[int, int]:
    """Packets seen and dropped, of the last block."""
    kind, body = blocks(path)[-1]
    assert kind == 5
    at, found = 12, {}
    while (option := struct.unpack_from("=HH", body, at))[0]:
        found[option[0]] = body[at + 4 : at + 4 + option[1]]
        at += 4 + (option[1] + 3) // 4 * 4
    return struct.unpack("=Q", found[4])[0], struct.unpack("=Q", found[5])[0]


def captured(fresh: Inside, events: Events, path: Path, limit: int = 10_000_000) -> Gate:
    capture = CaptureTo(str(path), limit)
    return fresh.gate(events, capture=capture)


@needs_tshark
async def test_tshark_reads_what_was_said_and_what_was_refused(
    fresh: Inside, events: Events, nursery: trio.Nursery, tmp_path: Path
) -> None:
    port = await serve(nursery, echo)
    path = tmp_path / "link.pcapng"
    gate = captured(fresh, events, path)
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(gate.run)
        await gate.dial(ranged("tcp!10.0.0.0/8!7", port))
        assert await reached(fresh, "10.1.2.3", 7)
        assert not await reached(fresh, "192.0.2.7", 80)
        running.cancel_scope.cancel()
    said = packets(path, "ip.dst", "tcp.payload", "frame.interface_name", "frame.packet_flags_direction")
    assert ["10.1.2.3", b"hello".hex(), "eth0", "0x00000002"] in said
    assert ["198.19.255.254", b"hello".hex(), "eth0", "0x00000001"] in said
    flags = packets(path, "ip.src", "tcp.srcport", "tcp.flags.reset")
    assert ["192.0.2.7", "80", "True"] in flags
    assert statistics(path) == (len(said), 0)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_file_is_bounded_and_says_what_is_not_in_it(
    fresh: Inside, events: Events, nursery: trio.Nursery, tmp_path: Path
) -> None:
    port = await serve(nursery, echo)
    path = tmp_path / "link.pcapng"
    gate = captured(fresh, events, path, limit=5000)
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(gate.run)
        await gate.dial(ranged("tcp!10.1.2.3!7", port))
        for _ in range(20):
            assert await reached(fresh, "10.1.2.3", 7)
        running.cancel_scope.cancel()
    assert path.stat().st_size <= 5000
    written = sum(kind == 6 for kind, _ in blocks(path))
    seen, dropped = statistics(path)
    assert written > 10
    assert seen > 100
    assert dropped == seen - written
    error = await events.take("error")
    assert (error["operation"], error["address"]) == ("capture", str(path))
    assert "error" not in events.kinds()


async def test_a_full_disk_at_the_start_is_an_error_before_anything_runs(
    fresh: Inside, events: Events
) -> None:
    async with nothing_left_open():
        with pytest.raises(HostError, match="No space left"):
            await captured(fresh, events, Path("/dev/full")).run()


async def test_a_file_that_cannot_be_made_is_an_error(fresh: Inside, events: Events, tmp_path: Path) -> None:
    async with nothing_left_open():
        with pytest.raises(HostError, match="cannot be written"):
            await captured(fresh, events, tmp_path / "no" / "folder").run()


def test_blocks_are_padded_and_end_with_their_length() -> None:
    for size in range(9):
        block = pcapng.packet(1_700_000_000_123_456_789, bytes(size), size, pcapng.INBOUND)
        assert len(block) % 4 == 0
        assert block[4:8] == block[-4:] == struct.pack("=I", len(block))
        high, low, kept, length = struct.unpack_from("=IIII", block, 12)
        assert (high << 32 | low, kept, length) == (1_700_000_000_123_456_789, size, size)


@given(
    st.integers(0, 2**64 - 1),
    st.binary(max_size=70),
    st.integers(0, 2**32 - 1),
    st.text(st.characters(codec="ascii"), max_size=15),
)
def test_a_packet_reads_back_out_of_its_block(at: int, data: bytes, length: int, interface: str) -> None:
    text = pcapng.header(interface) + pcapng.packet(at, data, length, pcapng.OUTBOUND)
    found = []
    while text:
        kind, size = struct.unpack("=II", text[:8])
        assert size % 4 == 0
        assert text[size - 4 : size] == struct.pack("=I", size)
        found.append((kind, text[8 : size - 4]))
        text = text[size:]
    kind, body = found[-1]
    _, high, low, kept, whole = struct.unpack("=IIIII", body[:20])
    assert (len(found), kind, high << 32 | low, whole) == (3, 6, at, length)
    assert body[20 : 20 + kept] == data


async def test_the_link_is_counted(fresh: Inside, events: Events, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    gate = fresh.gate(events)
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(gate.run)
        await gate.dial(ranged("tcp!10.1.2.3!7", port))
        before = await gate.counters()
        assert await reached(fresh, "10.1.2.3", 7)
        after = await gate.counters()
        running.cancel_scope.cancel()
    assert before is not None
    assert after is not None
    assert after.sent_bytes >= before.sent_bytes + 3 * 66 + 5
    assert after.received_bytes >= before.received_bytes + 2 * 66 + 5
    assert after.sent_packets - before.sent_packets >= 3
    assert after.received_packets - before.received_packets >= 2


@flat_only
async def test_a_flat_world_has_no_link_to_count(gate: Gate) -> None:
    assert await gate.counters() is None


def test_an_answer_that_is_an_error_or_says_nothing_is_raised() -> None:
    refused = struct.pack("=IHHIIi", 20, netlink.ERROR, 0, 1, 0, -19)
    with pytest.raises(OSError, match="No such device"):
        counters.parse(refused)
    with pytest.raises(OSError, match="Bad message"):
        counters.parse(struct.pack("=IHHII", 32, 16, 0, 1, 0) + bytes(16) + struct.pack("=HH", 0, 23))


ATTRIBUTES = st.tuples(st.integers(0, 80), st.integers(0, 30), st.binary(max_size=80)).map(
    lambda each: struct.pack("=HH", *each[:2]) + each[2]
)
HEADERS = st.tuples(st.integers(0, 60), st.sampled_from([2, 16]), st.just(0), st.just(1), st.just(0)).map(
    lambda each: struct.pack("=IHHII", *each)
)


@given(
    st.binary(max_size=80)
    | st.builds(lambda *parts: b"".join(parts), HEADERS, st.binary(max_size=16), ATTRIBUTES)
)
def test_any_answer_of_counters_is_counters_or_an_error(answer: bytes) -> None:
    try:
        counted = counters.parse(answer)
    except OSError as error:
        assert error.errno is not None
    else:
        assert counted.sent_bytes >= 0


@given(
    st.lists(st.builds(lambda *parts: b"".join(parts), HEADERS, st.binary(max_size=24)), max_size=3).map(
        b"".join
    )
)
def test_any_acknowledgements_are_numbers_or_an_error(answer: bytes) -> None:
    asking, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with asking, kernel:
        kernel.send(answer + struct.pack("=IHHIIi", 20, netlink.ERROR, 0, 1, 0, -errno.ENODEV))
        kernel.close()  # a second answer is an end
        try:
            netlink.send(asking, [("asked for", b"?", True)])
        except OSError as error:
            assert error.errno is not None
