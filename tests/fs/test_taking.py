"""What an app may try to take from others by a served tree: descriptors, the server's time, its waiting.

`folder` is served. The programs run in the mount's namespaces as the app.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from attacked import CALLER, few_descriptors, served, text_root
from mounting import mounted

from libos.fs import requests
from libos.fs.descriptors import TOTAL
from libos.fs.node import Change, File
from libos.fs.synthetic import function


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is served."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside"


OPEN_ALL = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]) + 50,) * 2) if os.geteuid() == 0 else None
opened = []
try:
    for number in range(int(sys.argv[1])):
        opened.append(os.open(f"{sys.argv[2]}/{number}", os.O_CREAT | os.O_RDWR, 0o644))
    os.write(1, b"%d none" % len(opened))
except OSError as error: os.write(1, b"%d %s" % (len(opened), errno.errorcode[error.errno].encode()))
sys.stdin.readline()
os.write(opened[0], b"still good")
"""


async def test_a_world_that_opens_all_it_can_leaves_the_others_theirs(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with few_descriptors(1200), served(first) as greedy, served(second) as modest:
        async with mounted({"a": greedy, "b": modest}) as mount:
            source = "import os, sys, errno\n" + OPEN_ALL
            program = await mount.start("python3", "-c", source, "1000", "a")
            count, why = (await program.stdout.receive_some()).split()
            assert why == b"ENFILE"
            assert 100 < int(count) <= 300  # a quarter of all
            # The supervisor and the other world have what they need.
            spare = [os.pipe() for _ in range(100)]
            result = await mount.python(OPEN_ALL, "100", "b")
            assert result.out.split() == [b"100", b"none"], result
            for pair in spare:
                os.close(pair[0])
                os.close(pair[1])
            await program.stdin.send_all(b"\n")
            assert await program.wait() == 0
            await program.close()
            assert (await mount.python("print(len(os.listdir('a')))")).out.strip() == count
            assert mount.faults == []
    assert (first / "0").read_bytes() == b"still good"
    assert TOTAL.opened == 0


async def test_ten_thousand_files_held_by_path_cost_the_server_no_more_than_its_share(folder: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
for number in range(10000):
    open(f"w/{number}", "w").close()
    held.append(os.open(f"w/{number}", os.O_PATH))
print(sum(os.fstat(fd).st_size == 0 for fd in held))
"""
    before = len(os.listdir("/proc/self/fd"))
    most = 0
    with served(folder, capacity=500) as tree:
        async with mounted({"w": tree}) as mount, trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal most
                while True:
                    most = max(most, len(os.listdir("/proc/self/fd")))
                    await trio.sleep(0.05)

            nursery.start_soon(watch)
            with trio.fail_after(50):
                result = await mount.python(code)
            assert result.out == b"10000\n", result
            nursery.cancel_scope.cancel()
    assert most - before < 600


SPECIAL = """
import socket
print(stat.S_ISFIFO(os.stat("w/fifo").st_mode), stat.S_ISSOCK(os.stat("w/socket").st_mode))
fd = os.open("w/fifo", os.O_RDONLY | os.O_NONBLOCK)
print(os.read(fd, 9))
try: os.open("w/fifo", os.O_WRONLY | os.O_NONBLOCK); print("opened")
except OSError as error: print(errno.errorcode[error.errno])
os.close(fd)
s = socket.socket(socket.AF_UNIX)
try: s.connect("w/socket")
except OSError as error: print(errno.errorcode[error.errno])
for name in sys.argv[1:]:
    try: os.open("w/" + name, os.O_RDONLY)
    except OSError as error: print(errno.errorcode[error.errno])
"""


async def test_special_files_of_the_host_do_not_reach_it(folder: Path) -> None:
    os.mkfifo(folder / "fifo", 0o666)
    devices = []
    if os.geteuid() == 0:
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        devices.append("null")
    with socket.socket(socket.AF_UNIX) as listener, served(folder) as tree:
        listener.bind(str(folder / "socket"))
        listener.listen()
        async with mounted({"w": tree}) as mount:
            with trio.fail_after(20):  # the server opens no FIFO: it would wait for the other end
                result = await mount.python(SPECIAL, *devices)
            lines = result.out.splitlines()
            assert lines[:2] == [b"True True", b"b''"], result
            assert lines[2] == b"opened"  # by the FIFO of its own that the kernel gives each mount
            assert lines[3] == b"ECONNREFUSED"
            assert lines[4:] == [b"EACCES"] * len(devices)


async def test_a_file_swapped_for_a_fifo_does_not_hold_up_the_server(folder: Path) -> None:
    (folder / "a").write_text("a")
    with served(folder, capacity=0) as tree:
        file = await tree.walk(b"a")
        assert isinstance(file, File)
        (folder / "a").unlink()
        os.mkfifo(folder / "a")
        tree.tree.descriptors.trim()
        with trio.fail_after(20), pytest.raises(OSError) as raised:
            await file.open(os.O_RDONLY, CALLER)
        assert raised.value.errno == errno.ESTALE


LEASE = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
os.write(1, b"held\\n")
sys.stdin.read()
"""


async def test_a_lease_on_the_host_holds_up_its_file_alone(folder: Path) -> None:
    (folder / "a").write_text("a")
    command = [sys.executable, "-c", LEASE, str(folder / "a")]
    with served(folder) as tree:
        file = await tree.walk(b"a")
        assert isinstance(file, File)
        holder = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdin is not None and holder.stdout is not None
        assert await holder.stdout.receive_some() == b"held\n"
        done: list[str] = []

        async def write() -> None:
            handle = await file.open(os.O_WRONLY, CALLER)
            await handle.close()
            done.append("opened")

        async def cut() -> None:
            await file.setattr(Change(size=0))
            done.append("cut")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            nursery.start_soon(cut)
            # The thread that serves everybody goes on; a lease is broken after 45 s.
            with trio.fail_after(20):
                await trio.sleep(0.2)
            assert done == []
            with trio.fail_after(20):
                with pytest.raises(BlockingIOError):
                    await file.open(os.O_WRONLY | os.O_NONBLOCK, CALLER)
            await holder.stdin.aclose()
            with trio.fail_after(20):
                await holder.wait()
        await holder.stdout.aclose()
    assert sorted(done) == ["cut", "opened"]


async def test_a_file_cut_under_a_mapping_is_the_programs_own_affair(folder: Path) -> None:
    (folder / "a").write_bytes(b"x" * 100_000)
    code = """
import mmap, os, sys
fd = os.open("w/a", os.O_RDONLY)
area = mmap.mmap(fd, 100_000, prot=mmap.PROT_READ)
os.write(1, area[:1]); sys.stdin.readline()
os.stat("w/a"); os.fstat(fd)
print(area[99_999:], flush=True)
"""
    with served(folder) as tree:
        async with mounted({"w": tree}) as mount:
            program = await mount.start("python3", "-c", code)
            assert await program.stdout.receive_some() == b"x"
            os.truncate(folder / "a", 10)
            await program.stdin.send_all(b"\n")
            assert await program.wait() in (-7, 0)  # SIGBUS, or the page that it had
            await program.close()
            assert (await mount.run("cat", "w/a")).out == b"x" * 10
            assert mount.faults == []


WAIT = """
import os, sys, threading
threading.stack_size(64 << 10)
def use():
    try: os.open("w/slow", os.O_RDONLY)
    except OSError: pass
for _ in range(int(sys.argv[1])): threading.Thread(target=use, daemon=True).start()
print("started", flush=True)
sys.stdin.read()
os._exit(0)
"""


async def test_five_thousand_waiting_operations_hold_up_nobody() -> None:
    waiting = 0
    enough = trio.Event()

    async def wait() -> str:
        nonlocal waiting
        waiting += 1
        if waiting == 5000:
            enough.set()
        await trio.sleep_forever()
        raise AssertionError

    root = text_root()
    root.attach(b"/slow", function(wait))
    async with mounted({"w": root, "other": text_root()}) as mount:
        program = await mount.start("python3", "-c", WAIT, "5000")
        with trio.fail_after(40):
            await enough.wait()
        with trio.fail_after(20):
            for _ in range(10):
                assert (await mount.run("cat", "other/fine")).out == b"fine"
        with trio.fail_after(20):
            await mount.run("kill", "-KILL", str(program.pid))
            assert await program.wait() == -9
        await program.close()
        assert mount.faults == []


async def test_a_world_may_not_have_more_waiting_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_OF_A_WORLD", 50)
    root = text_root()
    root.attach(b"/slow", function(trio.sleep_forever))
    code = """
import threading
found = []
def use():
    try: os.open("w/slow", os.O_RDONLY)
    except OSError as error: found.append(error.errno)
threads = [threading.Thread(target=use, daemon=True) for _ in range(60)]
for thread in threads: thread.start()
while len(found) < 10: pass
print({errno.errorcode[number] for number in found}, flush=True)
os._exit(0)
"""
    async with mounted({"w": root, "other": text_root()}) as mount:
        with trio.fail_after(20):
            result = await mount.python(code)
        assert result.out == b"{'EAGAIN'}\n", result
        assert (await mount.run("cat", "other/fine")).out == b"fine"
