"""Files that take what programs write: sinks, control files, logs."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from mounting import mounted
from serving import ASKER, opened, tree

from libos.fs.control import REPLIES_MAX, control
from libos.fs.log import Log
from libos.fs.node import Caller, Change, Node, ReportedError, refusal
from libos.fs.sink import sink

WRITE = os.O_WRONLY
APPEND = os.O_WRONLY | os.O_APPEND


# --- sinks


async def test_a_sink_gets_each_write_and_who_made_it() -> None:
    got: list[tuple[bytes, Caller]] = []

    async def receive(data: bytes, caller: Caller) -> None:
        got.append((data, caller))

    handle = await opened(sink(receive), WRITE)
    assert await handle.write(0, b"one\ntwo") == 7
    assert await handle.write(7, b"x") == 1
    await handle.close()
    assert got == [(b"one\ntwo", ASKER), (b"x", ASKER)]


async def test_a_sink_gets_each_line_however_it_was_written() -> None:
    got: list[bytes] = []
    handle = await opened(sink(got.append, by="line"), WRITE)
    for data in (b"one\ntw", b"", b"o", b"\n\nthr", b"ee"):
        assert await handle.write(0, data) == len(data)
    assert got == [b"one", b"two", b""]
    await handle.close()
    assert got == [b"one", b"two", b"", b"three"]


async def test_a_sink_gets_the_whole_at_the_end() -> None:
    got: list[bytes] = []
    node = sink(got.append, by="close", limit=10)
    handle = await opened(node, WRITE)
    await handle.write(0, b"12345")
    with pytest.raises(ReportedError, match="more than 10 bytes") as raised:
        await handle.write(5, b"123456")
    assert raised.value.errno == errno.EFBIG
    await handle.write(5, b"67890")
    assert got == []
    await handle.close()
    await (await opened(node, WRITE)).close()
    assert got == [b"1234567890", b""]


@pytest.mark.parametrize("by", ["line", "close"])
async def test_an_error_at_the_end_is_told_although_nobody_hears_of_its_errno(by: Any) -> None:
    def full(data: bytes) -> None:
        raise refusal(errno.ENOSPC)

    handle = await opened(sink(full, by=by), WRITE)
    await handle.write(0, b"x")
    with pytest.raises(ReportedError, match=r"what was written is lost: .*No space"):
        await handle.close()


async def test_a_line_that_fails_ends_its_write_after_the_ones_before() -> None:
    calls: list[bytes] = []

    def receive(line: bytes) -> None:
        calls.append(line)
        if line == b"bad":
            raise refusal(errno.EINVAL)

    handle = await opened(sink(receive, by="line"), WRITE)
    assert await handle.write(0, b"good\nbad\nlast\n") == len(b"good\n")
    with pytest.raises(OSError, match="Invalid"):
        await handle.write(5, b"bad\nlast\n")
    assert calls == [b"good", b"bad"]
    assert await handle.write(9, b"last\n") == 5
    assert calls == [b"good", b"bad", b"last"]
    with pytest.raises(OSError, match="Invalid"):
        await handle.write(14, b"bad\n")
    assert calls == [b"good", b"bad", b"last", b"bad"]


async def test_a_line_over_the_limit_ends_the_open_file() -> None:
    got: list[bytes] = []
    node = sink(got.append, by="line", limit=4)
    handle = await opened(node, WRITE)
    assert await handle.write(0, b"1234\n12") == 7
    with pytest.raises(ReportedError, match="a line of more than 4 bytes"):
        await handle.write(7, b"345")
    with pytest.raises(OSError, match="too long") as raised:
        await handle.write(7, b"1\n")
    assert (raised.value.errno, type(raised.value)) == (errno.EMSGSIZE, OSError)
    await handle.close()
    assert got == [b"1234"]
    assert await (await opened(node, WRITE)).write(0, b"1\n") == 2


def test_a_sink_that_is_asked_for_wrongly_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match='by is "write", "line" or "close"'):
        sink(print, by="word")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a sink's function takes one argument, and one more"):
        sink(lambda: None)


async def test_programs_write_to_a_sink_and_hear_of_errors() -> None:
    got: list[bytes] = []

    async def receive(line: bytes) -> None:
        if line == b"no":
            raise refusal(errno.EDQUOT)
        if line == b"broken":
            raise ValueError("broken")
        got.append(line)

    nodes = tree(out=sink(receive, by="line"))
    async with mounted({"w": nodes}) as mount:
        result = await mount.run(
            "bash", "-c", "echo a > out; seq 3 >> out; /usr/bin/printf 'b\\nno\\nc\\n' > out", directory="w"
        )
        assert b"quota exceeded" in result.err
        assert got == [b"a", b"1", b"2", b"3", b"b"]
        assert (await mount.run("dd", "of=w/out", "bs=2", "status=none", stdin=b"long line\n")).status == 0
        assert got[-1] == b"long line"
        assert b"Input/output error" in (await mount.run("bash", "-c", "echo broken > w/out")).err
        assert [(each.path, each.operation, str(each.error)) for each in mount.faults] == [
            (b"/out", "write", "broken")
        ]
        assert b"Permission denied" in (await mount.run("cat", "w/out")).err


async def close_the_world(node: Node) -> list[tuple[bytes, str, str]]:
    """The faults of a world that is closed while a program has the file `out` open."""
    code = (
        "out = os.open('out', os.O_WRONLY); os.write(out, b'x'); print('open', flush=True); sys.stdin.read()"
    )
    async with mounted({"w": tree(out=node)}) as mount:
        program = await mount.start("python3", "-c", "import os, sys;" + code, directory="w")
        assert await program.stdout.receive_some() == b"open\n"
        mount.attachments["w"].close()
        await program.close()
    return [(each.path, each.operation, str(each.error)) for each in mount.faults]


async def test_what_a_closed_world_had_open_is_handed_on_and_its_faults_are_told() -> None:
    got: list[bytes] = []
    assert await close_the_world(sink(got.append, by="close")) == []
    assert got == [b"x"]

    def broken(data: bytes) -> None:
        raise ValueError("broken")

    def full(data: bytes) -> None:
        raise refusal(errno.ENOSPC)

    assert await close_the_world(sink(broken, by="close")) == [(b"/out", "release", "broken")]
    assert "what was written is lost" in str(await close_the_world(sink(full, by="line")))

    async def hang(data: bytes) -> None:
        await trio.sleep_forever()

    assert await close_the_world(sink(hang, by="close")) == [
        (b"/out", "release", "not closed within 2 s of its world's end")
    ]


async def test_a_slow_sink_holds_its_writer_up() -> None:
    go, called = trio.Event(), trio.Event()

    async def receive(data: bytes) -> None:
        called.set()
        await go.wait()

    async with mounted({"w": tree(out=sink(receive))}) as mount:
        program = await mount.start("sh", "-c", "echo x > w/out; echo written")
        await called.wait()
        go.set()
        assert await program.stdout.receive_some() == b"written\n"
        await program.wait()
        await program.close()


@pytest.mark.parametrize("make", [sink, control])
async def test_a_write_over_its_limit_is_etimedout_and_an_event(make: Callable[..., Any]) -> None:
    async def hang(data: object) -> None:
        await trio.sleep_forever()

    async with mounted({"w": tree(out=make(hang, deadline=0.2))}) as mount:
        assert b"timed out" in (await mount.run("bash", "-c", "echo x > w/out")).err
        assert [each.operation for each in mount.faults] == ["write"]


@pytest.mark.parametrize("make", [sink, control])
async def test_a_writer_that_waits_dies_at_once(make: Callable[..., Any]) -> None:
    called = trio.Event()

    async def hang(data: object) -> None:
        called.set()
        await trio.sleep_forever()

    async with mounted({"w": tree(out=make(hang))}) as mount:
        program = await mount.start("dd", "of=w/out", "status=none")
        await program.stdin.send_all(b"x\n")
        await program.stdin.aclose()
        await called.wait()
        await mount.run("kill", "-KILL", str(program.pid))
        with trio.fail_after(20):
            assert await program.wait() == -9
        await program.close()


# --- control files


async def test_a_command_is_written_and_its_reply_read() -> None:
    def answer(command: str, caller: Caller) -> str | None:
        return f"{command} by {caller.uid}\n" if command != "quiet" else None

    handle = await opened(control(answer), os.O_RDWR)
    assert await handle.read(0, 100) == b""
    assert await handle.write(0, b"status\n") == 7
    assert await handle.read(0, 6) == b"status"
    assert await handle.read(0, 100) == b" by 1000\n"
    assert await handle.read(0, 100) == b""
    assert await handle.write(0, b"quiet\n\n\n") == 8
    assert await handle.read(0, 100) == b""


async def test_several_commands_in_one_write_are_carried_out_in_order() -> None:
    commands: list[str] = []

    async def answer(command: str) -> bytes:
        commands.append(command)
        return command.upper().encode() + b";"

    handle = await opened(control(answer), os.O_RDWR)
    assert await handle.write(0, b"a\nb\nhal") == 7
    assert commands == ["a", "b"]
    assert await handle.read(0, 100) == b"A;B;"
    assert await handle.write(7, b"f\n") == 2
    assert await handle.read(0, 100) == b"HALF;"


async def test_half_a_command_has_no_reply_and_is_never_carried_out() -> None:
    commands: list[str] = []
    handle = await opened(control(commands.append), os.O_RDWR)
    await handle.write(0, b"remove every")
    with pytest.raises(OSError, match="Invalid"):
        await handle.read(0, 100)
    with pytest.raises(ReportedError, match="closed with half a command: b'remove every'"):
        await handle.close()
    assert commands == []


async def test_a_command_over_the_limit_is_emsgsize_and_none_of_it_is_carried_out() -> None:
    commands: list[str] = []
    handle = await opened(control(commands.append, limit=8), os.O_RDWR)
    with pytest.raises(ReportedError, match="more than 8 bytes"):
        await handle.write(0, b"x" * 9)
    with pytest.raises(OSError, match="too long"):
        await handle.write(9, b" remove\n")
    assert commands == []
    await handle.close()


async def test_replies_that_nobody_reads_are_bounded() -> None:
    handle = await opened(control(lambda command: "x" * 100_000), os.O_RDWR)
    taken = 0
    with pytest.raises(ReportedError, match="bytes of replies are unread") as raised:
        while True:
            taken += await handle.write(0, b"more\n")
    assert raised.value.errno == errno.ENOBUFS
    assert taken < 5 * (REPLIES_MAX / 100_000 + 1)
    assert len(await handle.read(0, REPLIES_MAX * 2)) == taken // 5 * 100_000
    assert await handle.write(0, b"more\n") == 5


async def test_a_wrong_reply_is_named() -> None:
    handle = await opened(control(lambda command: 5), os.O_RDWR)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="returns None, str or bytes, not int"):
        await handle.write(0, b"x\n")


async def test_poll_tells_of_a_reply() -> None:
    woken: list[str] = []
    handle = await opened(control(lambda command: command), os.O_RDWR)
    assert handle.poll(lambda: woken.append("x")) & (select.POLLIN | select.POLLOUT) == select.POLLOUT
    await handle.write(0, b"x\n")
    assert woken == ["x"]
    assert handle.poll(None) & select.POLLIN


async def test_a_shell_and_python_talk_to_a_control_file() -> None:
    def answer(command: str) -> str:
        if command == "bad":
            raise refusal(errno.ENOTSUP)
        return f"did {command}\n"

    shell = "exec 3<>ctl; echo one >&3; echo two >&3; cat <&3; echo bad >&3; printf half >&3; exec 3>&-"
    code = """
import select
with open("ctl", "r+b", buffering=0) as ctl:
    ctl.write(b"\\xff one\\ntwo\\n")
    print(select.select([ctl], [], [], 60)[0] == [ctl], ctl.read())
"""
    async with mounted({"w": tree(ctl=control(answer))}) as mount:
        result = await mount.run("bash", "-c", shell, directory="w")
        assert result.out == b"did one\ndid two\n"
        assert b"not supported" in result.err
        assert [(each.operation, str(each.error)) for each in mount.faults] == [
            ("release", "closed with half a command: b'half'")
        ]
        bytes_kept = control(lambda command: os.fsencode(f"did {command}\n"))
        async_result = await mount.python("print(1)")
        assert async_result.out == b"1\n"
    async with mounted({"w": tree(ctl=bytes_kept)}) as mount:
        assert (await mount.python(code, directory="w")).out == b"True b'did \\xff one\\ndid two\\n'\n"


# --- logs


async def lines_of(log: Log) -> list[bytes]:
    log.close()
    return [line async for line in log]


async def test_a_log_gives_the_lines_of_all_writers() -> None:
    log = Log()
    one, two = await opened(log, APPEND), await opened(log, APPEND)
    await one.write(0, b"first ")
    await two.write(0, b"other\nmore\nhalf")
    await one.write(0, b"line\n")
    await two.close()
    assert await lines_of(log) == [b"other", b"more", b"first line", b"half"]


async def test_a_log_is_append_only() -> None:
    log = Log()
    for flags in (os.O_WRONLY, APPEND | os.O_TRUNC):
        with pytest.raises(OSError, match="not permitted"):
            await opened(log, flags)
    with pytest.raises(OSError, match="Permission denied"):
        await opened(log, os.O_RDONLY)
    with pytest.raises(OSError, match="not permitted"):
        await log.setattr(Change(size=0))


async def test_a_full_log_holds_the_next_write_up_until_somebody_reads() -> None:
    log = Log(limit=200)
    handle = await opened(log, APPEND)
    await handle.write(0, b"x\n" * 10)
    assert handle.poll(None) == 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle.write, 0, b"last\n")
        await trio.testing.wait_all_tasks_blocked()
        lines = [await anext(log) for _ in range(10)]
        await trio.testing.wait_all_tasks_blocked()
    assert [*lines, await anext(log)] == [b"x"] * 10 + [b"last"]
    assert handle.poll(None) & select.POLLOUT


async def test_a_full_log_may_drop_the_oldest_lines_and_counts_them() -> None:
    log = Log(limit=3 * (64 + 1), full="drop")
    handle = await opened(log, APPEND)
    await handle.write(0, b"1\n2\n3\n4\n5\n")
    assert (log.dropped, await lines_of(log)) == (2, [b"3", b"4", b"5"])


async def test_a_full_log_is_eagain_for_who_must_not_wait() -> None:
    log = Log(limit=1)
    handle = await opened(log, APPEND | os.O_NONBLOCK)
    await handle.write(0, b"x\nhalf")
    with pytest.raises(BlockingIOError):
        await handle.write(0, b" and half\n")
    await anext(log)
    await handle.write(0, b" and half\n")
    assert await anext(log) == b"half and half"


async def test_a_closed_log_is_epipe_and_frees_who_waits() -> None:
    log = Log(limit=1)
    handle = await opened(log, APPEND)
    await handle.write(0, b"x\n")
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            with pytest.raises(BrokenPipeError):
                await handle.write(0, b"y\n")

        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        log.close()
    assert await lines_of(log) == [b"x"]


async def test_programs_append_while_python_reads() -> None:
    log = Log(limit=1000)
    got: list[bytes] = []

    async def read() -> None:
        async for line in log:
            got.append(line)

    async with mounted({"w": tree(log=log)}) as mount, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        assert (await mount.run("sh", "-c", "seq 1000 >> w/log; echo done | tee -a w/log")).out == b"done\n"
        assert b"not permitted" in (await mount.run("sh", "-c", "echo x > w/log")).err
        code = """
import threading
def write(number):
    with open("log", "a") as log:
        for line in range(50): print(f"{number} {line}", file=log)
threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
for each in threads: each.start()
for each in threads: each.join()
"""
        assert (await mount.python(code, directory="w")).status == 0
        log.close()
    assert got[:1001] == [*(str(n).encode() for n in range(1, 1001)), b"done"]
    assert sorted(got[1001:]) == sorted(f"{n} {line}".encode() for n in range(8) for line in range(50))


async def test_a_writer_is_woken_from_poll_when_there_is_room() -> None:
    log = Log(limit=1)
    code = """
import select
log = os.open("log", os.O_WRONLY | os.O_APPEND)
os.write(log, b"x\\n")
print(select.select([], [log], [], 0)[1], flush=True)
print(select.select([], [log], [], 60)[1] == [log], flush=True)
"""
    async with mounted({"w": tree(log=log)}) as mount:
        program = await mount.start("python3", "-c", "import os" + code, directory="w")
        assert await program.stdout.receive_some() == b"[]\n"
        await anext(log)
        assert await program.stdout.receive_some() == b"True\n"
        await program.wait()
        await program.close()
