"""What an app may try with a served host tree that it may write: to leave it, and names of every kind.

`folder` is served; `secret` stands beside it. The programs run in the mount's namespaces as the app.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from attacked import CALLER, served, text_root
from mounting import mounted

from libos.fs.host import HostDirectory, HostTree
from libos.fs.node import Directory, File


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is served."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside"


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
