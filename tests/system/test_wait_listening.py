"""Waiting until an app listens: heard when it does, by whatever thread and program of its world."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
import trio
import trio.testing
from accounts import Account

import libos
from libos.errors import SupervisorError
from libos.kernel import landlock

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Each waits for a line on its input, then listens; FAMILY, HOST.
PLAIN = """
import socket, sys
sys.stdin.readline()
made = socket.socket(socket.{family})
made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
made.bind(({host!r}, 8000))
made.listen()
sys.stdin.read()
"""
# By a thread that is not the first, below a child, with a negative backlog, through libc.
THREADED = """
import ctypes, os, socket, sys, threading
sys.stdin.readline()
def listen():
    global made
    made = socket.socket()
    made.bind(("127.0.0.1", 8000))
    assert ctypes.CDLL(None).listen(made.fileno(), -1) == 0
if os.fork() == 0:
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
sys.stdin.read()
"""


def manifest(program: str, *listens: dict[str, object]) -> dict[str, object]:
    command = ["python3", "-c", program]
    return {"include": ["python"], "app": {"command": command}, "listen": list(listens)}


UNPUBLISHED: dict[str, object] = {"port": 8000, "publish": False}


@pytest.mark.parametrize(
    "program",
    [
        PLAIN.format(family="AF_INET", host="127.0.0.1"),
        PLAIN.format(family="AF_INET", host="0.0.0.0"),
        PLAIN.format(family="AF_INET6", host="::1"),
        PLAIN.format(family="AF_INET6", host="::"),
        THREADED,
    ],
    ids=["127.0.0.1", "0.0.0.0", "::1", "::", "threaded"],
)
async def test_it_is_heard_when_the_app_listens(supervisor: libos.Supervisor, program: str) -> None:
    app = await supervisor.start(manifest(program, UNPUBLISHED), stdin=subprocess.PIPE)
    assert app.stdin is not None
    heard = trio.Event()

    async def wait() -> None:
        await app.wait_listening(8000)
        heard.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert not heard.is_set()
        await app.stdin.send_all(b"go\n")
    await app.wait_listening(8000)  # at once
    (await app.connect(8000)).close()
    await app.kill()


async def test_a_further_program_of_the_world_is_heard_too(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(manifest("import sys; sys.stdin.read()", UNPUBLISHED), stdin=subprocess.PIPE)
    program = PLAIN.format(family="AF_INET", host="127.0.0.1")
    for terminal in (False, True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.wait_listening, 8000)
            await trio.testing.wait_all_tasks_blocked(0.05)
            streams = {} if terminal else {"stdin": subprocess.PIPE}
            other = await app.exec(["python3", "-c", program], terminal=terminal, **streams)  # type: ignore[arg-type]
            if terminal:
                assert other.terminal_fd is not None
                os.write(other.terminal_fd, b"go\n")
            else:
                assert other.stdin is not None
                await other.stdin.send_all(b"go\n")
        await other.send_signal(signal.SIGKILL)
        await other.wait()
        await other.aclose()
    await app.kill()


async def test_listen_keeps_its_errors_and_other_sockets_their_ways(supervisor: libos.Supervisor) -> None:
    """What it does in the kernel's place is what the kernel does; the rest the kernel does itself."""
    program = """
import errno, os, socket, struct
def fails(made, number):
    try:
        made.listen()
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError(number)
one, two = socket.socket(), socket.socket()
for each in (one, two):
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    each.bind(("127.0.0.1", 9000))
one.listen()
fails(two, errno.EADDRINUSE)
fails(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), errno.EOPNOTSUPP)
closed = socket.socket()
number = os.dup(closed.fileno())
os.close(number)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert (libc.listen(number, 1), ctypes.get_errno()) == (-1, errno.EBADF)
assert (libc.listen(0, 1), ctypes.get_errno()) == (-1, errno.ENOTSOCK)
unix = socket.socket(socket.AF_UNIX)
unix.bind("/tmp/unix.sock")
unix.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("/tmp/unix.sock")
pid, uid, gid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
assert (pid, uid) == (os.getpid(), os.getuid()), (pid, uid)
one.close()
two.listen()
"""
    app = await supervisor.start(manifest(program, UNPUBLISHED), stderr=subprocess.PIPE)
    assert app.stderr is not None
    errors = b""
    async for part in app.stderr:
        errors += part
    assert (await app.wait()).returncode == 0, errors.decode()


async def test_a_world_that_does_not_hear_says_so_but_looks(supervisor: libos.Supervisor) -> None:
    program = PLAIN.format(family="AF_INET", host="127.0.0.1") + "\n"
    ready = program.replace("made.listen()", "made.listen(); print('on', flush=True)")
    app = await supervisor.start(manifest(ready), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert app.stdin is not None
    assert app.stdout is not None
    with pytest.raises(SupervisorError, match=r"publish = false publishes nothing"):
        await app.wait_listening(8000)
    await app.stdin.send_all(b"go\n")
    await app.stdout.receive_some(10)
    await app.wait_listening(8000)
    await app.kill()


async def test_a_world_that_ends_ends_the_wait(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(manifest("import sys; sys.stdin.read()", UNPUBLISHED), stdin=subprocess.PIPE)
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(SupervisorError, match="ended before it listened at port 8000"):
                await app.wait_listening(8000)

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.05)
        await app.kill()


async def test_a_program_that_ends_the_hearing_harms_itself_alone(supervisor: libos.Supervisor) -> None:
    program = """
import errno, os, signal, socket, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/comm") as file:
        if file.read() == "libos hearing\\n":
            hearing = os.pidfd_open(int(pid))
            try:
                signal.pidfd_send_signal(hearing, signal.SIGKILL)
            except PermissionError:
                sys.exit("it is out of reach")
            import select
            select.select([hearing], [], [])
try:
    socket.socket().listen()
except OSError as error:
    assert error.errno == errno.ENOSYS, error
else:
    raise AssertionError("nobody answered")
"""
    app = await supervisor.start(manifest(program, UNPUBLISHED), stderr=subprocess.PIPE)
    other = await supervisor.start(
        manifest(PLAIN.format(family="AF_INET", host="127.0.0.1"), UNPUBLISHED), stdin=subprocess.PIPE
    )
    assert app.stderr is not None
    assert other.stdin is not None
    errors = b""
    async for part in app.stderr:
        errors += part
    # By Landlock's scopes a program signals no process of libos; without them it takes its own calls away.
    if landlock.abi() >= landlock.ABI_SCOPES:
        assert errors == b"it is out of reach\n"
    else:
        assert (await app.wait()).returncode == 0, errors.decode()
    await app.wait()
    await other.stdin.send_all(b"go\n")
    await other.wait_listening(8000)
    await other.kill()


async def test_a_thousand_calls_do_no_harm(supervisor: libos.Supervisor) -> None:
    program = """
import socket
for _ in range(1000):
    made = socket.socket()
    made.listen()
    made.close()
made = socket.socket()
made.bind(("127.0.0.1", 8000))
made.listen()
import sys
sys.stdin.read()
"""
    app = await supervisor.start(manifest(program, UNPUBLISHED), stdin=subprocess.PIPE)
    await app.wait_listening(8000)
    await app.kill()


async def test_the_event_comes_once_for_each_port(supervisor: libos.Supervisor) -> None:
    program = PLAIN.format(family="AF_INET", host="127.0.0.1")
    async with supervisor.events() as events:
        wanted = manifest(program, {"port": 8000, "publish": 0}, {"port": 8001, "publish": False})
        app = await supervisor.start(wanted, stdin=subprocess.PIPE)
        assert app.stdin is not None
        await app.stdin.send_all(b"go\n")
        await app.wait_listening(8000)
        await app.stdin.aclose()
        await app.wait()
        ready = []
        async for event in events:
            if event.kind == "listen.ready":
                ready.append(event.fields["port"])
            if event.kind == "app.exit":
                break
    assert ready == [8000]


def test_as_every_user(as_user: Account) -> None:
    """The helper may take a descriptor of the app's whoever started libos."""
    command = as_user.libos("run", "--include", "python", "-p", "0:8000", "--events", "1")
    program = PLAIN.format(family="AF_INET", host="127.0.0.1")
    with as_user.start(
        [*command, "--", "python3", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdin.write("go\n")
        run.stdin.flush()
        kinds = (json.loads(line) for line in run.stdout)
        assert next(each for each in kinds if each["kind"] == "listen.ready")["port"] == 8000
        run.stdin.close()
        run.stdout.read()
    assert run.returncode == 0
