"""Nodes that misbehave: their program gets an errno, the caller an event, everybody else goes on."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

import pytest
import trio
from mounting import Mount, mounted

from libos.fs.node import APP, STREAM, Attributes, Caller, Directory, File, Handle, Node, Symlink, refusal
from libos.fs.skeleton import Skeleton
from libos.fs.synthetic import function, text


class Odd(File, Handle):
    """A file that does one thing wrong: calls `act` in place of the named operation."""

    cache = STREAM

    def __init__(self, operation: str, act: Callable[[], object]) -> None:
        self.operation = operation
        self.act = act

    def known(self) -> Attributes | None:
        return self.do("known", Attributes(stat.S_IFREG | 0o666, 0, 1, *APP))  # type: ignore[return-value]

    def do(self, operation: str, otherwise: object) -> object:
        """Misbehaves when it is time to."""
        return self.act() if operation == self.operation else otherwise

    async def stat(self) -> Attributes:
        return self.do("stat", Attributes(stat.S_IFREG | 0o666, 0, 1, *APP))  # type: ignore[return-value]

    async def open(self, flags: int, caller: Caller) -> Handle:
        return self.do("open", self)  # type: ignore[return-value]

    async def read(self, offset: int, size: int) -> bytes:
        return self.do("read", b"")  # type: ignore[return-value]

    async def write(self, offset: int, data: bytes) -> int:
        return self.do("write", len(data))  # type: ignore[return-value]

    async def listxattr(self) -> list[bytes]:
        return self.do("listxattr", [])  # type: ignore[return-value]

    async def close(self) -> None:
        self.do("release", None)


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


def giving(value: object) -> Callable[[], object]:
    return lambda: value


USE = """
try:
    fd = os.open("odd", os.O_RDWR)
    os.read(fd, 10); os.write(fd, b"x" * 10); os.listxattr("odd"); os.close(fd)
    print(0)
except OSError as error:
    print(error.errno)
"""

WRONG: list[tuple[str, Callable[[], object], int]] = [
    ("known", raising(ValueError("x")), errno.EIO),
    ("known", giving("text"), errno.EIO),
    ("known", giving(Attributes(stat.S_IFDIR)), errno.EIO),
    ("known", giving(Attributes(stat.S_IFREG | 0o666, -1, 1, *APP)), errno.EIO),
    ("known", giving(Attributes(stat.S_IFREG | 0o666, 0, 1, "root")), errno.EIO),  # type: ignore[arg-type]
    ("known", giving(Attributes(stat.S_IFREG | 0o666, 0, -1, *APP)), errno.EIO),
    ("stat", giving(None), errno.EIO),
    ("open", raising(ValueError("x")), errno.EIO),
    ("open", raising(SystemExit(3)), errno.EIO),
    ("open", raising(ExceptionGroup("many", [ValueError("x"), SystemError("y")])), errno.EIO),
    ("open", raising(StopIteration()), errno.EIO),
    ("open", raising(StopAsyncIteration()), errno.EIO),
    ("open", raising(MemoryError()), errno.EIO),
    ("open", raising(RecursionError()), errno.EIO),
    ("open", raising(OSError("no errno")), errno.EIO),
    ("open", raising(OSError(9999, "an errno that is none")), errno.EIO),
    ("open", raising(OSError(-5, "negative")), errno.EIO),
    ("open", raising(OSError(errno.EBUSY, "busy")), errno.EBUSY),
    ("open", giving(None), errno.EIO),
    ("open", giving(3), errno.EIO),
    ("read", giving("text"), errno.EIO),
    ("read", giving(None), errno.EIO),
    ("read", giving(b"x" * (1 << 21)), errno.EIO),
    ("read", raising(refusal(errno.ENXIO)), errno.ENXIO),
    ("write", giving(11), errno.EIO),
    ("write", giving(-1), errno.EIO),
    ("write", giving("5"), errno.EIO),
    ("listxattr", giving([3]), errno.EIO),
    ("listxattr", giving(5), errno.EIO),
    ("release", raising(ValueError("x")), 0),
]


@pytest.mark.parametrize(("operation", "act", "expected"), WRONG)
async def test_a_node_that_misbehaves(operation: str, act: Callable[[], object], expected: int) -> None:
    root = Skeleton(lambda path: None)
    odd = Odd(operation, act)
    if operation == "stat":
        odd.known = lambda: None  # type: ignore[method-assign]
    root.attach(b"/odd", odd)
    root.attach(b"/fine", text("fine"))
    async with mounted({"w": root}) as mount:
        result = await mount.python(USE, directory="w")
        assert result.out.strip() == str(expected).encode(), result
        assert (await mount.run("cat", "w/fine")).out == b"fine"
        if expected == errno.EIO and "errno" not in str(act):
            for fault in mount.faults:
                assert (fault.world, fault.path) in (("w", b"/odd"), ("w", b"/"))


class Wrong(Directory):
    """A directory whose walk and listing give whatever they are told to."""

    def __init__(self, names: object, node: object) -> None:
        self.names = names
        self.node = node

    def known(self) -> Attributes:
        return Attributes(stat.S_IFDIR | 0o755)

    async def walk(self, name: bytes) -> Node:
        return self.node  # type: ignore[return-value]

    async def readdir(self) -> list[bytes]:
        return self.names  # type: ignore[return-value]


@pytest.mark.parametrize("names", [None, [b"a/b"], [b""], [b"\0"], ["text"], [b"x" * 256], 5])
async def test_a_listing_that_is_none(names: object) -> None:
    async with mounted({"w": Wrong(names, text("x"))}) as mount:
        result = await mount.run("ls", "w")
        assert b"Input/output error" in result.err
        assert [(fault.path, fault.operation) for fault in mount.faults] == [(b"/", "readdir")]


async def test_a_walk_that_gives_no_node() -> None:
    async with mounted({"w": Wrong([b"a"], None)}) as mount:
        assert b"Input/output error" in (await mount.run("cat", "w/a")).err
        assert b"Input/output error" in (await mount.run("ls", "w")).err


class Target(Symlink):
    """A link with any target."""

    def __init__(self, target: object) -> None:
        self.target = target

    def known(self) -> Attributes:
        return Attributes(stat.S_IFLNK | 0o777)

    async def readlink(self) -> bytes:
        return self.target  # type: ignore[return-value]


@pytest.mark.parametrize("target", [None, "text", b"a\0b", b"", b"x" * 5000])
async def test_a_link_without_a_target(target: object) -> None:
    root = Skeleton(lambda path: None)
    root.attach(b"/l", Target(target))
    async with mounted({"w": root}) as mount:
        result = await mount.python("try: os.readlink('w/l')\nexcept OSError as e: print(e.errno)")
        assert result.out.strip() == b"5"
        assert len(mount.faults) == 1


async def test_a_fault_handler_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def on_fault(fault: object) -> None:
        raise ValueError("x")

    root = Skeleton(lambda path: None)
    root.attach(b"/odd", Odd("open", raising(ValueError("x"))))
    async with mounted({"w": root}, on_fault=on_fault) as mount:
        for _ in range(2):
            assert b"Input/output error" in (await mount.run("cat", "w/odd")).err
    assert "the fault handler failed" in caplog.text


# --- waiting


async def forever() -> str:
    await trio.sleep_forever()
    raise AssertionError


async def start_waiting(mount: Mount, called: trio.Event, path: str = "w/slow") -> object:
    program = await mount.start("cat", path)
    await called.wait()
    return program


def slow_tree(called: trio.Event, deadline: float | None = None) -> Skeleton:
    """A tree with a file whose open never ends."""

    async def wait() -> str:
        called.set()
        return await forever()

    root = Skeleton(lambda path: None)
    root.attach(b"/slow", function(wait, deadline=deadline))
    root.attach(b"/fine", text("fine"))
    return root


@pytest.mark.parametrize("signal", ["TERM", "KILL", "INT"])
async def test_a_program_in_a_node_that_hangs_can_be_killed(signal: str) -> None:
    called = trio.Event()
    async with mounted({"w": slow_tree(called)}) as mount:
        program = await mount.start("cat", "w/slow")
        await called.wait()
        assert (await mount.run("cat", "w/fine")).out == b"fine"
        await mount.run("kill", f"-{signal}", str(program.pid))
        with trio.fail_after(20):
            assert await program.wait() < 0
        await program.close()
        assert mount.faults == []


async def test_a_signal_with_a_handler_interrupts_with_eintr() -> None:
    called = trio.Event()
    code = """
import signal
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGUSR1, stop)
try: open("w/slow")
except KeyboardInterrupt: print("interrupted")
"""
    async with mounted({"w": slow_tree(called)}) as mount:
        program = await mount.start("python3", "-c", code)
        await called.wait()
        await mount.run("kill", "-USR1", str(program.pid))
        with trio.fail_after(20):
            assert await program.wait() == 0
        assert await program.stdout.receive_some() == b"interrupted\n"
        await program.close()


async def test_blocked_and_ignored_signals_do_not_interrupt() -> None:
    called, go = trio.Event(), trio.Event()

    async def wait() -> str:
        called.set()
        await go.wait()
        return "done"

    root = Skeleton(lambda path: None)
    root.attach(b"/slow", function(wait))
    code = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); signal.signal(signal.SIGUSR2, signal.SIG_IGN)
print(open("w/slow").read())
"""
    async with mounted({"w": root}) as mount:
        program = await mount.start("python3", "-c", code)
        await called.wait()
        await mount.run("kill", "-USR1", str(program.pid))
        await mount.run("kill", "-USR2", str(program.pid))
        await trio.sleep(0.2)  # not for readiness: gives a wrong interrupt the time to happen
        go.set()
        assert await program.wait() == 0
        assert await program.stdout.receive_some() == b"done\n"
        await program.close()


async def test_a_deadline_is_etimedout_and_a_fault() -> None:
    called = trio.Event()
    async with mounted({"w": slow_tree(called, deadline=0.2)}) as mount:
        result = await mount.run("cat", "w/slow")
        assert b"timed out" in result.err
        assert [(fault.world, fault.path, fault.operation) for fault in mount.faults] == [
            ("w", b"/slow", "open")
        ]
        assert isinstance(mount.faults[0].error, TimeoutError)


async def test_closing_a_world_frees_its_programs_and_no_other() -> None:
    first, second = trio.Event(), trio.Event()
    async with mounted({"a": slow_tree(first), "b": slow_tree(second)}) as mount:
        one, two = await mount.start("cat", "a/slow"), await mount.start("cat", "b/slow")
        await first.wait()
        await second.wait()
        mount.attachments["a"].close()
        with trio.fail_after(20):
            assert await one.wait() == 1
        assert b"Interrupted" in await one.stderr.receive_some()
        await mount.attachments["a"].settle()
        assert (await mount.run("cat", "b/fine")).out == b"fine"
        assert (await mount.run("ls", "a")).status != 0
        await mount.run("kill", str(two.pid))
        await two.wait()
        for program in (one, two):
            await program.close()


async def test_a_name_of_a_closed_world_can_be_attached_again() -> None:
    first = Skeleton(lambda path: None)
    first.attach(b"/a", text("first"))
    second = Skeleton(lambda path: None)
    second.attach(b"/a", text("second"))
    async with mounted({"w": first}) as mount:
        assert (await mount.run("cat", "w/a")).out == b"first"
        with pytest.raises(ValueError, match="is attached"):
            mount.server.attach("w", second)
        mount.attachments["w"].close()
        await mount.attachments["w"].settle()
        mount.server.attach("w", second)
        assert (await mount.run("cat", "w/a")).out == b"second"


async def test_many_hung_requests_do_not_wedge_the_mount() -> None:
    called = trio.Event()
    code = """
import threading
def use():
    try: open("w/slow")
    except OSError: pass
for _ in range(300): threading.Thread(target=use, daemon=True).start()
print(len(threading.enumerate()), flush=True)
sys.stdin.read()
os._exit(0)
"""
    async with mounted({"w": slow_tree(called)}) as mount:
        program = await mount.start("python3", "-c", "import os, sys" + code)
        assert await program.stdout.receive_some() == b"301\n"
        await called.wait()
        assert (await mount.run("cat", "w/fine")).out == b"fine"
        mount.attachments["w"].close()
        await program.stdin.aclose()
        with trio.fail_after(20):
            assert await program.wait() == 0
        await program.close()


async def test_a_blocking_function_holds_up_nobody() -> None:
    read_fd, write_fd = os.pipe()
    root = Skeleton(lambda path: None)
    root.attach(b"/slow", function(lambda: os.read(read_fd, 100)))
    root.attach(b"/fine", text("fine"))
    async with mounted({"w": root}) as mount:
        program = await mount.start("cat", "w/slow")
        assert (await mount.run("cat", "w/fine")).out == b"fine"
        os.write(write_fd, b"now")
        assert await program.wait() == 0
        assert await program.stdout.receive_some() == b"now"
        await program.close()
    os.close(read_fd)
    os.close(write_fd)
