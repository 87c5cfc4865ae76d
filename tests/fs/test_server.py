"""The server's life, and what changes while it serves."""

from __future__ import annotations

import errno
import os
import stat
import tempfile

import pytest
import trio
from mounting import mounted, open_mount

from libos.errors import SupervisorError
from libos.fs.memory import memory_tree
from libos.fs.node import APP, STREAM, Attributes, Caller, File, Handle
from libos.fs.server import Server
from libos.fs.skeleton import Skeleton
from libos.fs.synthetic import data, text


def ignore(_: object) -> None:
    """For callbacks nobody looks at."""


def skeleton(**files: str) -> Skeleton:
    """A root with these texts."""
    root = Skeleton(ignore)
    for name, content in files.items():
        root.attach(b"/" + name.encode(), text(content))
    return root


class Stalled(File, Handle):
    """A file whose reads never end; `reading` is set by the first."""

    cache = STREAM

    def __init__(self) -> None:
        self.reading = trio.Event()
        self.closed = False

    def known(self) -> Attributes:
        return Attributes(stat.S_IFREG | 0o444, 0, 1, *APP)

    async def open(self, flags: int, caller: Caller) -> Handle:
        return self

    async def read(self, offset: int, size: int) -> bytes:
        self.reading.set()
        await trio.sleep_forever()
        raise AssertionError

    async def close(self) -> None:
        self.closed = True


# --- life


async def test_a_second_server_in_one_process_is_refused_and_the_first_goes_on() -> None:
    async with mounted({"w": skeleton(a="a")}) as mount:
        with tempfile.TemporaryDirectory(prefix="libos-test-") as path:
            child, channel, fuse_fd = open_mount(path)
            with pytest.raises(SupervisorError, match="another Supervisor"):
                await Server(fuse_fd, on_fault=ignore).serve()
            os.close(fuse_fd)
            channel.close()
            child.wait(30)
        assert (await mount.run("cat", "w/a")).out == b"a"


async def test_one_server_after_another_works() -> None:
    for content in ("one", "two"):
        async with mounted({"w": skeleton(a=content)}) as mount:
            assert (await mount.run("cat", "w/a")).out == content.encode()


async def test_a_mount_that_dies_is_enotconn() -> None:
    with tempfile.TemporaryDirectory(prefix="libos-test-") as path:
        child, channel, fuse_fd = open_mount(path)
        server = Server(fuse_fd, on_fault=ignore)
        with pytest.RaisesGroup(pytest.RaisesExc(OSError, check=lambda error: error.errno == errno.ENOTCONN)):
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve)
                channel.close()
                child.wait(30)
                with trio.fail_after(20):
                    await trio.sleep_forever()


async def test_a_server_that_is_cancelled_frees_waiting_programs() -> None:
    stalled = Stalled()
    root = skeleton()
    root.attach(b"/stalled", stalled)
    async with mounted({"w": root}) as mount:
        program = await mount.start("cat", "w/stalled")
        await stalled.reading.wait()
        mount.stop()
        with trio.fail_after(20):
            assert await program.wait() == 1
        # cat asks again after EINTR, and finds its world closed, or the server gone already.
        said = await program.stderr.receive_some()
        assert b"Stale file handle" in said or b"not connected" in said
        await program.close()
    assert stalled.closed


async def test_all_numbers_come_back_when_the_kernel_forgets() -> None:
    tree = memory_tree()
    async with mounted({"w": tree}) as mount:
        inodes = mount.server._operations.inodes
        await mount.python("for n in range(500): open(f'w/{n}', 'w').close()")
        assert len(inodes) > 500
        await mount.python("for n in range(500): os.unlink(f'w/{n}')")
        await mount.run("true")  # forgets come after the call that caused them
        with trio.fail_after(20):
            while len(inodes) > 4:  # noqa: ASYNC110  # the kernel tells nobody when it is done forgetting
                await trio.sleep(0.01)
        assert len(mount.server._operations.opens) == 0


# --- who waits


async def test_a_reader_by_an_inherited_descriptor_can_be_killed() -> None:
    stalled = Stalled()
    root = skeleton()
    root.attach(b"/stalled", stalled)
    async with mounted({"w": root}) as mount:
        program = await mount.start("sh", "-c", "exec 3<w/stalled; cat <&3 & echo $!; exec 3<&-; wait")
        pid = int(await program.stdout.receive_some())
        await stalled.reading.wait()
        await mount.run("kill", "-9", str(pid))
        with trio.fail_after(20):
            await program.wait()
        await program.close()


# --- changes while serving


async def test_what_is_attached_detached_and_replaced_shows_at_once() -> None:
    root = skeleton(a="old")
    async with mounted({"w": root}) as mount:
        settle = mount.attachments["w"].settle
        assert (await mount.run("cat", "w/a")).out == b"old"
        assert (await mount.run("cat", "w/deep/b")).status == 1
        root.attach(b"/deep/b", text("b"))
        await settle()
        assert (await mount.run("cat", "w/deep/b")).out == b"b"
        assert (await mount.run("ls", "w")).out == b"a\ndeep\n"
        root.attach(b"/a", text("replaced"))
        await settle()
        assert (await mount.run("cat", "w/a")).out == b"replaced"
        root.detach(b"/deep")
        await settle()
        assert (await mount.run("cat", "w/deep/b")).status == 1
        assert (await mount.run("ls", "w")).out == b"a\n"


async def test_absent_names_are_reported_each_time_with_their_path() -> None:
    absent: list[bytes] = []
    root = Skeleton(absent.append)
    root.placeholder(b"/usr/lib", True)
    async with mounted({"w": root}) as mount:
        for _ in range(2):
            await mount.python("os.path.exists(b'w/usr/lib/\\xff'); os.path.exists('w/nothing')")
    assert absent == [b"/usr/lib/\xff", b"/nothing"] * 2


async def test_code_that_changes_a_served_tree_invalidates_it() -> None:
    tree = memory_tree()
    _, handle = await tree.create(b"a", 0o644, os.O_RDWR, Caller())
    await handle.write(0, b"old")
    async with mounted({"w": tree}) as mount:
        assert (await mount.run("cat", "w/a")).out == b"old"
        await handle.write(0, b"newer")
        mount.attachments["w"].invalidate(b"a")
        await mount.attachments["w"].settle()
        assert (await mount.run("cat", "w/a")).out == b"newer"
        mount.attachments["w"].invalidate(b"not/known")


async def test_two_worlds_that_share_a_tree_see_each_others_changes() -> None:
    tree = memory_tree()
    async with mounted({"a": tree, "b": tree}) as mount:
        settle = mount.attachments["a"].settle
        await mount.python("open('a/x', 'w').write('one')")
        assert (await mount.run("cat", "b/x")).out == b"one"
        await mount.python("open('a/x', 'w').write('two, longer')")
        await settle()
        assert (await mount.run("cat", "b/x")).out == b"two, longer"
        await mount.python("os.rename('a/x', 'a/y'); open('a/x', 'w').write('three')")
        await settle()
        assert (await mount.run("cat", "b/x", "b/y")).out == b"threetwo, longer"
        await mount.python("os.unlink('b/x')")
        await settle()
        assert (await mount.run("ls", "a", "b")).out == b"a:\ny\n\nb:\ny\n"


async def test_a_listing_during_changes_has_each_lasting_name_once() -> None:
    code = """
os.mkdir("w/d")
for n in range(1000): open(f"w/d/keep{n}", "w").close()
for n in range(1000): open(f"w/d/drop{n}", "w").close()
seen = []
with os.scandir("w/d") as entries:
    for index, entry in enumerate(entries):
        seen.append(entry.name)
        if index < 1000:
            try: os.unlink(f"w/d/drop{index}")
            except FileNotFoundError: pass
            open(f"w/d/new{index}", "w").close()
keep = [name for name in seen if name.startswith("keep")]
print(len(keep), len(set(keep)), len(seen) == len(set(seen)))
"""
    async with mounted({"w": memory_tree()}) as mount:
        result = await mount.python(code)
        assert result.out == b"1000 1000 True\n", result


async def test_ten_thousand_entries() -> None:
    code = """
os.mkdir("w/d")
for n in range(10_000): open(f"w/d/{n}", "w").close()
print(len(os.listdir("w/d")), sum(entry.is_file() for entry in os.scandir("w/d")))
for n in range(10_000): os.unlink(f"w/d/{n}")
os.rmdir("w/d")
"""
    async with mounted({"w": memory_tree()}) as mount:
        result = await mount.python(code)
        assert result.out == b"10000 10000\n", result


async def test_rewinding_a_directory_starts_a_new_listing() -> None:
    code = """
import ctypes
libc = ctypes.CDLL(None); libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
directory = ctypes.c_void_p(libc.opendir(b"w"))
def names():
    count = 0
    while libc.readdir(directory): count += 1
    return count - 2
print(names()); open("w/b", "w").close(); libc.rewinddir(directory); print(names())
"""
    tree = memory_tree()
    await tree.create(b"a", 0o644, os.O_RDWR, Caller())
    async with mounted({"w": tree}) as mount:
        assert (await mount.python(code)).out == b"1\n2\n"


async def test_a_program_runs_from_a_served_file() -> None:
    binary = await trio.Path("/bin/true").read_bytes()
    root = skeleton()
    root.attach(b"/true", data(binary, mode=0o555))
    root.attach(b"/script", text("#!/bin/sh\necho script\n", mode=0o555))
    async with mounted({"w": root}) as mount:
        assert (await mount.run(f"{mount.path}/w/true")).status == 0
        assert (await mount.run(f"{mount.path}/w/script")).out == b"script\n"


async def test_a_static_file_is_asked_for_once() -> None:
    root = skeleton(a="x" * 100_000)
    counts: list[str] = []
    async with mounted({"w": root}) as mount:
        answer = mount.server._operations.boundary.answer

        async def counting(operation: str, *rest: object, **named: object) -> object:
            counts.append(operation)
            return await answer(operation, *rest, **named)  # type: ignore[arg-type]

        mount.server._operations.boundary.answer = counting  # type: ignore[assignment,method-assign]
        for _ in range(5):
            await mount.run("cat", "w/a")
    assert counts.count("lookup") == 2
    assert counts.count("read") == 1
    assert counts.count("getattr") <= 2
    assert counts.count("open") == 5
    assert set(counts) <= {"lookup", "getattr", "open", "read", "release"}


async def test_the_skeleton_is_read_only() -> None:
    async with mounted({"w": skeleton(a="a")}) as mount:
        code = """
for call in (lambda: open("w/new", "w"), lambda: os.mkdir("w/d"), lambda: os.unlink("w/a"),
             lambda: open("w/a", "w"), lambda: os.rename("w/a", "w/b"), lambda: os.chmod("w/a", 0o777)):
    try: call(); print("allowed")
    except OSError as error: print(errno.errorcode[error.errno])
"""
        out = (await mount.python(code)).out.decode().split()
        assert set(out) <= {"EACCES", "EPERM", "EROFS"}
        assert len(out) == 6
