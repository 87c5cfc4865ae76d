"""Programs in worlds whose system calls Python answers; run as an account, it prints what came of each.

What must happen at the same time is ordered by calls that are interposed themselves: nothing here sleeps.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

import libos
from libos import CONTINUE, CONTINUE_ANYWAY, Give, Monitor, SystemCall

# What each program begins with.
HEAD = """
import ctypes, errno, json, os, socket, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def said(do):
    try: return do()
    except OSError as error: return errno.errorcode[error.errno]
def tell(*values): print(json.dumps(values))
"""


async def run(
    supervisor: libos.Supervisor, code: str, monitor: Any, **keys: Any
) -> tuple[list[Any], list[libos.Event]]:
    """What a program tells, and the events of its world."""
    manifest = {"include": ["python"], "app": {"command": ["python3", "-c", HEAD + code]}, **keys}
    async with supervisor.events() as events:
        app = await supervisor.start(
            manifest, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, on_syscall=monitor
        )
        assert app.stdout is not None
        text = b"".join([part async for part in app.stdout]).decode()
        await app.aclose()
        told = []
        async for event in events:
            if event.world == app.name:
                told.append(event)
                if event.kind == "app.exit":
                    break
    return [value for line in text.splitlines() for value in json.loads(line)], told


def calls(told: list[libos.Event]) -> list[dict[str, Any]]:
    """What was told of interposed calls."""
    return [dict(event.fields) for event in told if event.kind == "syscall.call"]


async def answers(supervisor: libos.Supervisor) -> Any:
    """Each kind of answer."""
    monitor = Monitor(timeout=30)

    @monitor.on("mkdir", "mkdirat")
    async def made(call: SystemCall) -> int:
        path = await call.text(1 if call.name == "mkdirat" else 0)
        return 0 if path == "/nowhere/at/all" else 1

    @monitor.on("rmdir", "unlinkat")
    def removed(_call: SystemCall) -> int:
        raise PermissionError(errno.EROFS, "read-only")

    @monitor.on("getppid")
    def parent(_call: SystemCall) -> int:
        return 4242

    @monitor.on("uname")
    async def machine(call: SystemCall) -> int:
        await call.write(call.arguments[0], b"Dune".ljust(65, b"\0") * 6)
        return 0

    @monitor.on("kill")
    def signalled(_call: SystemCall) -> libos.Answer:
        return CONTINUE

    @monitor.on("openat")
    async def opened(call: SystemCall) -> libos.Answer:
        if await call.text(1) != "/magic":
            return CONTINUE_ANYWAY
        reading, writing = os.pipe()
        os.write(writing, b"words")
        os.close(writing)
        return Give(reading)

    code = """
os.mkdir("/nowhere/at/all")
tell(said(lambda: os.rmdir("/tmp")), os.getppid(), os.uname().sysname, open("/magic").read())
tell(said(lambda: os.kill(os.getpid(), 0)))
tell(libc.mkdir(ctypes.c_void_p(8), 0), errno.errorcode[ctypes.get_errno()])
tell(subprocess.run([sys.executable, "-c", "import os; os.mkdir('/nowhere/at/all')"]).returncode, os.getpid())
"""
    values, told = await run(supervisor, code, monitor)
    first = next(each for each in calls(told) if each["call"] in ("mkdir", "mkdirat"))
    given = [each["value"] for each in calls(told) if each["answer"] == "descriptor"]
    return {
        "values": values[:-1],
        "who": [first["program"], first["process"] == values[-1], first["answer"], first["value"]],
        "given": [value > 2 for value in given],
        "last": told[-1].kind,
    }


async def faults(supervisor: libos.Supervisor) -> Any:
    """Handlers that are at fault: each call fails as the monitor says, and the event says why."""
    monitor = Monitor(timeout=30, errno=errno.ENOTRECOVERABLE)

    @monitor.on("getppid")
    def raises(_call: SystemCall) -> int:
        raise KeyError("no such thing")

    @monitor.on("mkdir", "mkdirat")
    async def looked(call: SystemCall) -> libos.Answer:
        await call.text(1 if call.name == "mkdirat" else 0)
        return CONTINUE

    @monitor.on("umask")
    def nothing(_call: SystemCall) -> Any:
        return None

    @monitor.on("socket")
    def folder(_call: SystemCall) -> libos.Answer:
        return Give(os.open("/", os.O_RDONLY))

    code = """
tell(-libc.getppid() == errno.ENOTRECOVERABLE, said(lambda: os.mkdir("/tmp/a")))
tell(-libc.umask(0), said(socket.socket))
"""
    values, told = await run(supervisor, code, monitor)
    faults = {each["call"]: str(each.get("fault")).split(":")[0] for each in calls(told)}

    async def late(_call: SystemCall) -> int:
        await trio.sleep_forever()
        return 0

    code = "tell(said(lambda: os.getsid(0)))"
    more, told = await run(supervisor, code, Monitor({"getsid": late}, timeout=0.2))
    faults["getsid"] = str(calls(told)[0].get("fault"))
    return {"values": values + more, "faults": {key.removesuffix("at"): faults[key] for key in faults}}


async def alone(supervisor: libos.Supervisor) -> Any:
    """While one thread waits for its answer another one of its process goes on, and the whole supervisor."""
    monitor, other = Monitor(timeout=30), trio.Event()

    @monitor.on("getppid")
    async def waits(_call: SystemCall) -> int:
        await other.wait()
        return 1

    @monitor.on("getsid")
    def goes_on(_call: SystemCall) -> int:
        other.set()
        return 2

    code = """
found = []
thread = threading.Thread(target=lambda: found.append(libc.getppid()))
thread.start()
found.append(libc.getsid(0))
thread.join()
tell(sorted(found))
"""
    return (await run(supervisor, code, monitor))[0]


async def many(supervisor: libos.Supervisor) -> Any:
    """A flood: as many at once as the monitor says, and each is answered."""
    monitor, both = Monitor(timeout=30, most=2), trio.Event()
    now: list[int] = []
    most: list[int] = []

    @monitor.on("getppid")
    async def counted(_call: SystemCall) -> int:
        now.append(0)
        most.append(len(now))
        if len(now) == 2:
            both.set()
        await both.wait()
        now.pop()
        return 7

    code = """
found = []
def ask():
    for _ in range(20): found.append(libc.getppid())
threads = [threading.Thread(target=ask) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
tell(len(found), sorted(set(found)))
"""
    values, told = await run(supervisor, code, monitor)
    return {"values": values, "most": max(most), "told": len(calls(told))}


async def refused(supervisor: libos.Supervisor) -> Any:
    """What the world's filter refuses, or one of the program's own, is refused, and no handler is asked."""
    asked: list[int] = []

    def socket(call: SystemCall) -> libos.Answer:
        asked.append(call.whole(0))
        return CONTINUE

    def parent(_call: SystemCall) -> int:
        asked.append(-1)
        return 1

    code = """
import struct
tell(said(lambda: socket.socket(40, 1)), said(lambda: socket.socket().close()), libc.getppid())
number, architecture = {"x86_64": (110, 0xC000003E), "aarch64": (173, 0xC00000B7)}[os.uname().machine]
code = [(0x20, 0, 0, 4), (0x15, 0, 3, architecture), (0x20, 0, 0, 0), (0x15, 0, 1, number),
        (0x06, 0, 0, 0x50000 | errno.EACCES), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
head = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(program)))
seccomp = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
tell(libc.syscall(seccomp, 1, 8, head), errno.errorcode[ctypes.get_errno()])  # a listener of its own
tell(libc.syscall(seccomp, 1, 0, head), libc.getppid(), 0)
"""
    values, _ = await run(supervisor, code, {"socket": socket, "getppid": parent})
    try:
        await run(supervisor, "", {"mount": parent})
        why = ""
    except libos.ManifestError as error:
        why = str(error)
    return {"values": values, "asked": asked, "why": why}


# Thread 2 changes the path that thread 1 has given to open(2), once a handler has looked at it.
RACE = """
path = ctypes.create_string_buffer(b"/public", 64)
def other():
    libc.umask(1)  # waits until the path was looked at
    path.value = b"/secret"
    libc.umask(2)  # lets the handler answer
thread = threading.Thread(target=other)
thread.start()
fd = libc.open(path, os.O_RDONLY)
error = errno.errorcode.get(ctypes.get_errno())
thread.join()
tell(os.read(fd, 100).decode() if fd >= 0 else error)
"""


async def race(supervisor: libos.Supervisor, answer: Callable[[Path], libos.Answer]) -> Any:
    """What a program reads that rewrites its argument after the check, by how the check answers."""
    looked, rewritten = trio.Event(), trio.Event()
    monitor = Monitor(timeout=30)

    @monitor.on("umask")
    async def in_turn(call: SystemCall) -> int:
        if call.arguments[0] == 1:
            await looked.wait()
        else:
            rewritten.set()
        return 0

    @monitor.on("openat")
    async def checked(call: SystemCall) -> libos.Answer:
        path = await call.text(1)
        if path == "/secret":
            raise PermissionError(errno.EACCES, "secret")
        if path != "/public":
            return CONTINUE_ANYWAY
        looked.set()
        await rewritten.wait()
        return answer(public)

    with tempfile.TemporaryDirectory() as folder:
        public = Path(folder) / "public"
        public.write_text("for everybody")
        texts = [("/public", "for everybody"), ("/secret", "a secret")]
        mounts = [{"at": at, "text": text} for at, text in texts]
        values, told = await run(supervisor, RACE, monitor, mount=mounts)
    faults = [str(each["fault"]).split(":")[0] for each in calls(told) if "fault" in each]
    return [*values, *faults]


async def races(supervisor: libos.Supervisor) -> Any:
    """The three ways."""
    return {
        "anyway": await race(supervisor, lambda _public: CONTINUE_ANYWAY),
        "plain": await race(supervisor, lambda _public: CONTINUE),
        "given": await race(supervisor, lambda public: Give(os.open(public, os.O_RDONLY))),
    }


async def killed(supervisor: libos.Supervisor) -> Any:
    """A program that is killed while it waits, in two ways: a child, and the whole world."""
    monitor, begun, seen, ended = Monitor(timeout=30), trio.Event(), trio.Event(), trio.Event()
    child: list[bool] = []

    @monitor.on("getppid")
    async def waits(_call: SystemCall) -> int:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()
        return 0

    @monitor.on("getsid")
    async def over(call: SystemCall) -> int:
        child.append(call.is_waiting)
        seen.set()
        for _ in iter(lambda: call.is_waiting, False):  # the kernel tells nobody
            await trio.lowlevel.checkpoint()
        return 1

    code = """
import signal
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    threading.Thread(target=lambda: (os.write(writing, b"x"), libc.getsid(0)), daemon=True).start()
    libc.pause()
os.read(reading, 1)
libc.getpgid(0)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
libc.getppid()
"""

    @monitor.on("getpgid")
    async def asked(_call: SystemCall) -> int:
        await seen.wait()
        return 0

    manifest = {"include": ["python"], "app": {"command": ["python3", "-c", HEAD + code]}}
    async with supervisor.events() as events:
        app = await supervisor.start(manifest, on_syscall=monitor)
        await begun.wait()
        await app.kill()
        status = await app.wait()
        await app.aclose()
        told = []
        async for event in events:
            told.append(event)
            if event.kind == "app.exit":
                break
    gone = [each["answer"] for each in calls(told) if each["call"] == "getsid"]
    return {
        "reason": status.reason,
        "ended": ended.is_set(),
        "child": child,
        "gone": gone,
        "last": told[-1].kind,
    }


async def served(supervisor: libos.Supervisor) -> Any:
    """A path that stands in a page which this process itself serves, before the program has it in memory and
    after; a port that libos waits for; a further program of the world."""
    monitor = Monitor(timeout=30)
    paths: list[str] = []

    @monitor.on("rmdir", "unlinkat")
    async def removed(call: SystemCall) -> int:
        paths.append(await call.text(1 if call.name == "unlinkat" else 0))
        return 0

    code = """
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
fd = os.open("/note", os.O_RDONLY)
at = libc.mmap(None, 4096, 1, 2, fd, 0)
untouched = libc.rmdir(ctypes.c_void_p(at)), ctypes.get_errno()
assert ctypes.string_at(at, 1) == b"/" and libc.rmdir(ctypes.c_void_p(at)) == 0
assert untouched in ((0, 0), (-1, errno.EFAULT)), untouched
server = socket.create_server(("127.0.0.1", 8000))
sys.stdin.read()
"""
    note = "/served/by/the/supervisor\0".ljust(4096, "\0")
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "-c", HEAD + code]},
        "mount": [{"at": "/note", "text": note}],
        "listen": [{"port": 8000, "publish": False}],
    }
    async with supervisor.events() as events:
        app = await supervisor.start(manifest, stdin=subprocess.PIPE, on_syscall=monitor)
        async for event in events:
            if event.kind == "listen.ready":
                break
        other = await app.exec(["python3", "-c", "import os; os.rmdir('/by/another/program')"])
        await other.wait()
        await other.aclose()
        assert app.stdin is not None
        await app.stdin.aclose()
        await app.wait()
        await app.aclose()
    return {"paths": paths[-2:], "port": event.fields["port"]}


def links() -> Iterator[str]:
    """What this process has open."""
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{number}")


SCENES: dict[str, Callable[[libos.Supervisor], Awaitable[Any]]] = {
    each.__name__: each for each in (answers, faults, alone, many, refused, races, killed, served)
}


async def held() -> None:
    """A program that waits for an answer which never comes; prints its number here once it waits."""
    begun = trio.Event()

    async def waits(_call: SystemCall) -> int:
        begun.set()
        await trio.sleep_forever()
        return 0

    manifest = {"include": ["python"], "app": {"command": ["python3", "-c", HEAD + "libc.getsid(0)"]}}
    async with libos.Supervisor(spare=False) as supervisor:
        app = await supervisor.start(manifest, on_syscall=Monitor({"getsid": waits}, timeout=1000))
        await begun.wait()
        print(app.pid, flush=True)
        await trio.sleep_forever()


async def main(names: list[str]) -> None:
    """Show the scenes of these names, or all."""
    if names == ["held"]:
        await held()
    async with libos.Supervisor(spare=False) as supervisor:
        found = {name: await SCENES[name](supervisor) for name in names or SCENES}
        found["listeners"] = sum("seccomp" in link for link in links())
    print(json.dumps(found))


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
