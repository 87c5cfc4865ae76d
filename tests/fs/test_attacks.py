"""What an app may try with a served host tree that it may write: to leave it, and to take from others.

`folder` is served; `secret` stands beside it. The programs run in the mount's namespaces as the app.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from mounting import mounted

from libos.fs import requests
from libos.fs.descriptors import TOTAL
from libos.fs.host import HostDirectory, HostTree
from libos.fs.node import Caller, Change, Directory, File
from libos.fs.skeleton import Skeleton
from libos.fs.synthetic import function, text

CALLER = Caller()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is served."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside"


@contextmanager
def served(folder: Path, *, capacity: int | None = None) -> Iterator[HostTree]:
    """The folder as a tree that may be written."""
    fd = os.open(folder, os.O_RDONLY)
    tree = HostTree(fd, writable=True, capacity=capacity)
    os.close(fd)
    try:
        yield tree
    finally:
        tree.close()


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """This process may have so many more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    TOTAL.set_limits()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        TOTAL.set_limits()


# --- leaving the tree


SWAP = """
import threading, time
os.mkdir("w/real"); open("w/real/secret", "w").write("mine"); os.symlink("..", "w/link"); os.mkdir("w/d")
stop = False
def swap():
    while not stop:
        for source in ("w/real", "w/link"):
            try:
                os.rename(source, "w/way"); os.rename("w/way", source)
            except OSError: pass
thread = threading.Thread(target=swap); thread.start()
found = set()
end = time.monotonic() + 1
while time.monotonic() < end:
    for path in ("w/way/secret", "w/d/../way/secret"):
        try: found.add(open(path).read())
        except OSError as error: found.add(error.errno)
        try: open("w/way/made", "x").close()
        except OSError: pass
stop = True; thread.join()
print(sorted(map(str, found)))
"""


async def test_links_swapped_during_lookup_lead_nowhere(folder: Path) -> None:
    with served(folder) as tree:
        async with mounted({"w": tree}) as mount:
            result = await mount.python(SWAP)
            assert result.status == 0, result
            assert b"mine" in result.out
            assert b"secret" not in result.out
            assert mount.faults == []
    assert sorted(os.listdir(folder.parent)) == ["inside", "secret"]


async def test_the_host_swapping_a_directory_for_a_link_leads_nowhere(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "real" / "secret").write_text("mine")
    (folder / "link").symlink_to("..")
    stop = False

    def swap() -> None:
        while not stop:
            for name in ("real", "link"):
                (folder / name).rename(folder / "way")
                (folder / "way").rename(folder / name)

    found = set()
    with served(folder) as tree:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, swap)
            for _ in range(3000):
                await trio.lowlevel.checkpoint()
                try:
                    way = await tree.walk(b"way")
                    if isinstance(way, Directory):
                        file = await way.walk(b"secret")
                        assert isinstance(file, File)
                        handle = await file.open(os.O_RDONLY, CALLER)
                        found.add(await handle.read(0, 10))
                        await handle.close()
                except OSError:
                    pass
            stop = True
    assert found <= {b"mine"}


@pytest.mark.parametrize("name", [b"..", b".", b"", b"../secret", b"/etc", b"a/b", b"a\0b"])
async def test_names_that_are_none_are_refused_by_the_tree_itself(folder: Path, name: bytes) -> None:
    with served(folder) as tree:
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: tree.walk(name),
            lambda: tree.create(name, 0o644, os.O_RDWR, CALLER),
            lambda: tree.mkdir(name, 0o755, CALLER),
            lambda: tree.symlink(name, b"target", CALLER),
            lambda: tree.mknod(name, stat.S_IFIFO | 0o644, 0, CALLER),
            lambda: tree.remove(name, directory=True),
            lambda: tree.remove(name, directory=False),
            lambda: tree.rename(name, tree, b"new", 0),
            lambda: tree.rename(b"old", tree, name, 0),
        ]
        _, handle = await tree.create(b"old", 0o644, os.O_RDWR, CALLER)
        await handle.close()
        for attempt in attempts:
            with pytest.raises(OSError, match=r"."):
                await attempt()
    assert sorted(os.listdir(folder.parent)) == ["inside", "secret"]
    assert os.listdir(folder) == ["old"]


LEAVE = """
import os, sys
os.chdir("w/d/e")
here = os.open(".", os.O_PATH)
os.write(1, b"ready\\n")
sys.stdin.readline()
ways = ["../../../secret", "../../secret", "../secret", "../../inside/a"]
ways += [f"/proc/self/fd/{here}/../../../secret", f"/proc/self/fd/{here}/../secret"]
ways += ["/proc/self/cwd/../secret"]
for way in ways:
    try: print(open(way).read())
    except OSError as error: print(error.errno)
"""


@pytest.mark.parametrize("capacity", [0, 100])
async def test_a_directory_renamed_out_of_the_tree_shows_nothing_beside_it(
    folder: Path, capacity: int
) -> None:
    (folder / "d" / "e").mkdir(parents=True)
    with served(folder, capacity=capacity) as tree:
        async with mounted({"w": tree}) as mount:
            program = await mount.start("python3", "-c", LEAVE)
            assert await program.stdout.receive_some() == b"ready\n"
            (folder / "d" / "e").rename(folder.parent / "e")
            await program.stdin.send_all(b"\n")
            assert await program.wait() == 0
            said = await program.stdout.receive_some()
            assert b"secret" not in said
            assert set(said.split()) <= {b"2", b"116"}, said  # ENOENT, ESTALE
            await program.close()


PROC = """
open("w/a", "w").write("mine")
reader = os.open("w/a", os.O_RDONLY)
again = os.open(f"/proc/self/fd/{reader}", os.O_RDWR)
os.write(again, b"MINE"); print(open("w/a").read())
path = os.open("w/a", os.O_PATH)
print(os.read(os.open(f"/proc/self/fd/{path}", os.O_RDONLY), 9))
os.symlink("/proc/self/root", "w/root"); os.symlink("/proc/self/fd/0", "w/zero")
for name in ("w/root", "w/zero"): print(os.readlink(name))
os.unlink("w/a")
try: os.link(f"/proc/self/fd/{path}", "w/back", follow_symlinks=True)
except OSError as error: print(errno.errorcode[error.errno])
"""


async def test_descriptors_of_proc_reach_the_same_files_and_no_others(folder: Path) -> None:
    with served(folder) as tree:
        async with mounted({"w": tree}) as mount:
            result = await mount.python(PROC)
            assert result.out.split()[:4] == [b"MINE", b"b'MINE'", b"/proc/self/root", b"/proc/self/fd/0"]
            assert result.out.split()[4:] in ([b"ENOENT"], [b"EXDEV"]), result


async def test_what_the_kernel_tells_the_server_alone_is_not_served() -> None:
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY)
    tree = HostTree(root_fd, writable=False)
    os.close(root_fd)
    try:
        async with mounted({"w": tree}) as mount:
            # The server would open these as itself: its own memory, the settings of the machine.
            code = """
for path in ("proc/self/environ", "proc/%s/mem" % sys.argv[1], "proc/sys/kernel/core_pattern", "sys/kernel"):
    try: print(os.stat(path))
    except OSError as error: print(error.errno)
print("proc" in os.listdir("."))
"""
            result = await mount.python(code, str(os.getpid()), directory="w")
            assert result.out.split() == [b"13"] * 4 + [b"False"], result
    finally:
        tree.close()
    proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PermissionError):
        HostTree(proc_fd, writable=False)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(proc_fd)


# --- names


async def test_names_of_any_bytes_reach_the_host_and_come_back(folder: Path) -> None:
    names = [b"n" * 255, b"\xff\xfe\x80", b"\n", b"\x01\x7f", b"-rf", "é".encode(), b"a\\b"]
    code = """
names = eval(sys.argv[1])
for name in names: open(b"w/" + name, "wb").write(name)
print(sorted(os.listdir(b"w")) == sorted(names))
for name in (b"n" * 256, b"\\xff" * 256):
    for call in (os.stat, os.mkdir, os.unlink, lambda path: os.rename(b"w/-rf", path)):
        try: call(b"w/" + name)
        except OSError as error: assert error.errno == errno.ENAMETOOLONG, error
try: os.stat(b"w/a\\0b")
except ValueError: print("NUL")
"""
    with served(folder) as tree:
        async with mounted({"w": tree}) as mount:
            result = await mount.python(code, repr(names))
            assert result.out.split() == [b"True", b"NUL"], result
            assert mount.faults == []
    assert sorted(os.listdir(os.fsencode(folder))) == sorted(names)


async def test_a_hundred_thousand_names_in_one_directory(folder: Path) -> None:
    for number in range(100_000):
        os.mknod(folder / f"{number:06}")
    before = len(os.listdir("/proc/self/fd"))
    with served(folder, capacity=200) as tree:
        async with mounted({"w": tree, "other": text_root()}) as mount:
            code = "names = sorted(os.listdir('w')); print(len(names), names[0], names[-1])"
            with trio.fail_after(50):
                async with trio.open_nursery() as nursery:

                    async def list_all() -> None:
                        result = await mount.python(code)
                        assert result.out == b"100000 000000 099999\n", result
                        nursery.cancel_scope.cancel()

                    nursery.start_soon(list_all)
                    for _ in range(10):  # the others go on meanwhile
                        assert (await mount.run("cat", "other/fine")).out == b"fine"
            assert len(os.listdir("/proc/self/fd")) - before < 300


async def test_a_way_as_deep_as_an_app_likes(folder: Path) -> None:
    with served(folder, capacity=4) as tree:
        here: HostDirectory = tree
        for _ in range(3000):
            below = await here.mkdir(b"d", 0o755, CALLER)
            assert isinstance(below, HostDirectory)
            here = below
        tree.tree.descriptors.trim()
        before = len(os.listdir("/proc/self/fd"))
        node, handle = await here.create(b"a", 0o644, os.O_RDWR, CALLER)
        assert await handle.write(0, b"deep") == 4
        await handle.close()
        assert (await node.stat()).size == 4
        assert len(os.listdir("/proc/self/fd")) <= before + 8
        del node, handle, below, here
    with trio.CancelScope(shield=True):
        await trio.run_process(["rm", "-rf", str(folder / "d")])


# --- taking from others


def text_root() -> Skeleton:
    """Another world's tree."""
    root = Skeleton(lambda path: None)
    root.attach(b"/fine", text("fine"))
    return root


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
            with trio.fail_after(5):  # the server opens no FIFO: it would wait for the other end
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
        with trio.fail_after(2), pytest.raises(OSError) as raised:
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
            with trio.fail_after(1):  # the thread that serves everybody goes on
                await trio.sleep(0.2)
            assert done == []
            with trio.move_on_after(1):
                with pytest.raises(BlockingIOError):
                    await file.open(os.O_WRONLY | os.O_NONBLOCK, CALLER)
            await holder.stdin.aclose()
            with trio.fail_after(5):
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
        began = trio.current_time()
        for _ in range(10):
            assert (await mount.run("cat", "other/fine")).out == b"fine"
        assert trio.current_time() - began < 5
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
