"""What may be changed, how much, and how often: read-only, append-only, counted, quota, labels."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest
import trio
from conformance.files import refused
from layers.tree import Tree
from mounting import mounted

from libos.fs import layers
from libos.fs.layers.counting import Counted
from libos.fs.layers.quotas import Quota
from libos.fs.node import Caller, File
from libos.labels import READ_UP, WRITE_DOWN, WRITE_UP

# --- read-only, append-only


async def test_read_only_refuses_every_change_with_erofs() -> None:
    tree = Tree(layers.read_only)
    await tree.outside.put(b"a", b"text")
    changes = {
        "put": (b"b",), "truncate": (b"a", 0), "chmod": (b"a", 0o600), "unlink": (b"a",), "mkdir": (b"d",),
        "rename": (b"a", b"b", 0), "link": (b"a", b"b"), "symlink": (b"a", b"b"), "utime": (b"a", 1, 1),
        "setxattr": (b"a", b"user.x", b"y"), "mknod": (b"f", 0o010644),
    }  # fmt: skip
    for operation, arguments in changes.items():
        with refused(errno.EROFS):
            await getattr(tree.inside, operation)(*arguments)
    assert await tree.inside.get(b"a") == b"text"


async def test_append_only_lets_files_grow_and_lose_nothing() -> None:
    tree = Tree(layers.append_only)
    await tree.inside.put(b"log", b"one\n")
    fd = await tree.inside.open(b"log", os.O_WRONLY | os.O_APPEND)
    await tree.inside.write(fd, b"two\n")
    await tree.inside.pwrite(fd, b"three\n", 0)  # with O_APPEND the end, wherever it was aimed: write(2)
    assert await tree.inside.get(b"log") == b"one\ntwo\nthree\n"
    losses = {
        "open": (b"log", os.O_RDWR), "put": (b"log", b"new"), "truncate": (b"log", 0), "unlink": (b"log",),
        "rename": (b"log", b"x", 0), "link": (b"log", b"x"), "chmod": (b"log", 0o600),
        "setxattr": (b"log", b"user.x", b"y"),
    }  # fmt: skip
    for operation, arguments in losses.items():
        with refused(errno.EPERM):
            await getattr(tree.inside, operation)(*arguments)
    await tree.inside.mkdir(b"d")
    with refused(errno.EPERM):
        await tree.inside.rmdir(b"d")


async def test_the_handle_of_a_new_file_cannot_overwrite_what_it_wrote() -> None:
    tree = Tree(layers.append_only)
    fd = await tree.inside.open(b"new", os.O_CREAT | os.O_WRONLY)
    await tree.inside.pwrite(fd, b"0123", 0)
    with refused(errno.EPERM):
        await tree.inside.pwrite(fd, b"x", 3)
    await tree.inside.pwrite(fd, b"4", 4)
    assert await tree.inside.get(b"new") == b"01234"


APPENDING = """
import subprocess
program = '''
import os
fd = os.open("log", os.O_WRONLY | os.O_APPEND)
for n in range(100):
    os.write(fd, b"%d" % n + bytes([10]))
'''
open("log", "w").close()
running = [subprocess.Popen([sys.executable, "-I", "-S", "-c", program]) for _ in range(3)]
assert [each.wait() for each in running] == [0, 0, 0]
assert sorted(map(int, open("log"))) == sorted(list(range(100)) * 3)
import mmap
fd = os.open("log", os.O_RDWR | os.O_APPEND)
try:
    mmap.mmap(fd, 10)
except OSError as error:
    print(errno.errorcode[error.errno])
"""


async def test_programs_that_append_at_once_lose_no_line_and_cannot_overwrite_by_a_mapping() -> None:
    tree = Tree(layers.append_only)
    async with mounted({"w": tree.root}) as mount:
        done = await mount.python(APPENDING, directory="w")
        assert (done.status, done.out) == (0, b"ENODEV\n"), done.err
        assert mount.faults == []


# --- counted


def counting(**limits: int) -> tuple[Tree, Counted]:
    tree = Tree(lambda node: layers.counted(node, **limits))
    layer = tree.stack.layers[-1]
    assert isinstance(layer, Counted)
    return tree, layer


async def test_a_read_that_crosses_the_limit_gives_what_is_left_and_the_next_is_edquot() -> None:
    tree, layer = counting(bytes_read=10)
    await tree.outside.put(b"a", b"0123456789abcdef")
    fd = await tree.inside.open(b"a", os.O_RDONLY)
    assert await tree.inside.pread(fd, 8, 0) == b"01234567"
    assert await tree.inside.pread(fd, 8, 8) == b"89"
    with refused(errno.EDQUOT):
        await tree.inside.pread(fd, 1, 0)
    totals = layer.totals()
    assert (totals["reads"], totals["bytes_read"]) == (2, 10)
    assert totals["sha256_read"] == hashlib.sha256(b"0123456789").hexdigest()


async def test_writes_are_counted_by_what_was_taken() -> None:
    tree, layer = counting(bytes_written=6, writes=3)
    fd = await tree.inside.open(b"a", os.O_CREAT | os.O_RDWR)
    assert await tree.inside.pwrite(fd, b"abcd", 0) == 4
    assert await tree.inside.pwrite(fd, b"efgh", 4) == 2
    with refused(errno.EDQUOT):
        await tree.inside.pwrite(fd, b"x", 6)
    assert await tree.outside.get(b"a") == b"abcdef"
    assert layer.totals()["sha256_written"] == hashlib.sha256(b"abcdef").hexdigest()
    tree, layer = counting(writes=1, reads=1)
    fd = await tree.inside.open(b"a", os.O_CREAT | os.O_RDWR)
    await tree.inside.pwrite(fd, b"x", 0)
    with refused(errno.EDQUOT):
        await tree.inside.pwrite(fd, b"x", 0)
    await tree.inside.pread(fd, 1, 0)
    with refused(errno.EDQUOT):
        await tree.inside.pread(fd, 1, 0)


async def test_what_fails_is_not_counted_as_passed() -> None:
    tree, layer = counting(bytes_written=10)
    fd = await tree.inside.open(b"a", os.O_CREAT | os.O_RDWR)
    tree.fill()
    with refused(errno.ENOSPC):
        await tree.inside.pwrite(fd, b"12345", 0)
    assert layer.totals()["bytes_written"] == 0


READING = """
import subprocess
program = '''
import os
fd = os.open("a", os.O_RDONLY)
assert sum(len(os.pread(fd, 1000, 0)) for _ in range(10)) == 10_000
'''
running = [subprocess.Popen([sys.executable, "-I", "-S", "-c", program]) for _ in range(4)]
print([each.wait() for each in running])
"""


async def test_every_read_of_every_process_counts_and_none_is_answered_by_the_kernel() -> None:
    tree, layer = counting()
    await tree.outside.put(b"a", b"x" * 1000)
    async with mounted({"w": tree.root}) as mount:
        done = await mount.python(READING, directory="w")
        assert done.status == 0, done.err
    assert (layer.totals()["reads"], layer.totals()["bytes_read"]) == (40, 40_000)
    assert layer.totals()["sha256_read"] == hashlib.sha256(b"x" * 40_000).hexdigest()


# --- quota


async def quota_over(tree: Tree) -> Quota:
    """The quota layer, once it has counted."""
    await tree.stack.begin()
    layer = tree.stack.layers[-1]
    assert isinstance(layer, Quota)
    return layer


def with_quota(size: int | None = None, files: int | None = None) -> Tree:
    return Tree(lambda node: layers.quota(node, size=size, files=files))


async def test_a_quota_counts_what_is_there_and_what_comes() -> None:
    tree = with_quota(100, 4)
    await tree.outside.mkdir(b"d")
    await tree.outside.put(b"d/a", b"x" * 40)
    await tree.outside.link(b"d/a", b"b")
    layer = await quota_over(tree)
    assert (layer.used, layer.files) == (40, 2)
    await tree.inside.put(b"c", b"y" * 60)
    with refused(errno.EDQUOT):
        await tree.inside.put(b"e", b"z")
    assert (layer.used, layer.files) == (100, 4)
    with refused(errno.EDQUOT):
        await tree.inside.mkdir(b"f")
    assert (layer.used, layer.files) == (100, 4)


async def test_what_is_removed_is_free_once_nobody_has_it_open() -> None:
    tree = with_quota(100)
    layer = await quota_over(tree)
    await tree.inside.put(b"a", b"x" * 50)
    fd = await tree.inside.open(b"a", os.O_RDWR)
    await tree.inside.link(b"a", b"b")
    await tree.inside.unlink(b"a")
    assert (layer.used, layer.files) == (50, 1)
    await tree.inside.unlink(b"b")
    assert (layer.used, layer.files) == (50, 1)
    await tree.inside.pwrite(fd, b"y" * 20, 50)
    assert layer.used == 70
    await tree.inside.close(fd)
    assert (layer.used, layer.files) == (0, 0)


async def test_truncation_replacement_and_holes() -> None:
    tree = with_quota(100)
    layer = await quota_over(tree)
    await tree.inside.put(b"a", b"x" * 50)
    await tree.inside.put(b"b", b"y" * 30)
    await tree.inside.truncate(b"a", 10)
    assert layer.used == 40
    await tree.inside.put(b"a", b"z")  # O_TRUNC
    assert layer.used == 31
    await tree.inside.rename(b"b", b"a", 0)
    assert (layer.used, layer.files) == (30, 1)
    fd = await tree.inside.open(b"a", os.O_RDWR)
    with refused(errno.EDQUOT):
        await tree.inside.pwrite(fd, b"end", 1 << 20)  # a hole counts as if it were written
    with refused(errno.EDQUOT):
        await tree.inside.ftruncate(fd, 101)
    await tree.inside.ftruncate(fd, 100)
    assert layer.used == 100
    await tree.inside.pwrite(fd, b"x" * 100, 0)  # nothing grows


async def test_what_did_not_happen_is_given_back() -> None:
    tree = with_quota(100, 10)
    layer = await quota_over(tree)
    await tree.inside.put(b"a")
    tree.fill()
    fd = await tree.inside.open(b"a", os.O_RDWR)
    with refused(errno.ENOSPC):
        await tree.inside.pwrite(fd, b"x" * 50, 0)
    with refused(errno.EEXIST):
        await tree.inside.mkdir(b"a")
    with refused(errno.ENOENT):
        await tree.inside.unlink(b"nothing")
    assert (layer.used, layer.files) == (0, 1)


async def test_writers_at_once_never_have_more_than_there_is() -> None:
    tree = with_quota(1000)
    layer = await quota_over(tree)
    refusals = 0

    async def write(name: bytes) -> None:
        nonlocal refusals
        fd = await tree.inside.open(name, os.O_CREAT | os.O_WRONLY)
        for each in range(100):
            try:
                await tree.inside.pwrite(fd, b"x" * 7, each * 7)
            except OSError as error:
                assert error.errno == errno.EDQUOT
                refusals += 1
                return
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for each in range(20):
            nursery.start_soon(write, b"%d" % (each // 2))  # two writers a file
    sizes = [(await tree.outside.stat(name))["size"] for name in await tree.outside.listdir(b"")]
    assert layer.used == sum(sizes) <= 1000
    assert refusals > 0 and layer.used > 1000 - 7


WRITING = """
import subprocess
program = '''
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
try:
    for n in range(1000):
        os.pwrite(fd, b"x" * 100, n * 100)
except OSError as error:
    sys.exit(error.errno)
'''
names = ["a", "a", "b", "b"]
running = [subprocess.Popen([sys.executable, "-I", "-S", "-c", program, name]) for name in names]
print(*[errno.errorcode.get(each.wait(), "") for each in running], sum(os.path.getsize(n) for n in "ab"))
"""


async def test_processes_that_write_at_once_share_one_quota() -> None:
    tree = with_quota(50_000)
    layer = await quota_over(tree)
    async with mounted({"w": tree.root}) as mount:
        done = await mount.python(WRITING, directory="w")
        *errors, total = done.out.decode().split()
        assert set(errors) == {"EDQUOT"}, done
        assert int(total) == layer.used == 50_000
        assert mount.faults == []


@pytest.mark.parametrize("lay", [layers.quota, layers.counted])
def test_a_negative_limit_is_an_error(lay: object) -> None:
    key = "size" if lay is layers.quota else "reads"
    with pytest.raises(ValueError, match="0 or more"):
        lay(Tree(layers.revocable).inner, **{key: -1})  # type: ignore[operator]


async def test_labels_let_read_what_is_below_and_add_to_what_is_above() -> None:
    told: list[tuple[str, str]] = []

    def lay(reads: bool, writes: bool) -> Tree:
        def tell(call: layers.Call, rule: str) -> None:
            told.append((call.operation, rule))

        return Tree(lambda node: layers.labelled(node, tell, reads=reads, writes=writes))

    below = lay(True, False)
    await below.outside.put(b"file", b"text")
    assert await below.inside.get(b"file") == b"text"
    for operation, arguments in {"put": (b"file", b"x"), "mkdir": (b"d",), "unlink": (b"file",)}.items():
        with refused(errno.EACCES):
            await getattr(below.inside, operation)(*arguments)
    assert set(told) >= {("open", ""), ("open", WRITE_DOWN), ("mkdir", WRITE_DOWN), ("remove", WRITE_DOWN)}
    for writes in (True, False):
        hidden = lay(False, writes)
        await hidden.outside.put(b"file", b"text")
        with refused(errno.EACCES):
            await hidden.inside.get(b"file")
        with refused(errno.EACCES):
            await hidden.inside.listdir(b"")
        assert told[-1] == ("readdir", READ_UP)
        with refused(errno.EACCES):
            await hidden.root.mkdir(b"d", 0o700, Caller())
        assert told[-1] == ("mkdir", WRITE_UP if writes else WRITE_DOWN)


async def test_a_file_above_takes_what_is_added_blindly_and_nothing_else() -> None:
    tree = Tree(layers.revocable)
    await tree.outside.put(b"file", b"text")
    inner = await tree.inner.walk(b"file")
    above = layers.labelled(inner, lambda call, rule: None, reads=False, writes=True)
    assert isinstance(above, File)
    assert (await above.stat()).size == 0
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_WRONLY | os.O_APPEND | os.O_TRUNC):
        with refused(errno.EACCES):
            await above.open(flags, Caller())
    handle = await above.open(os.O_WRONLY | os.O_APPEND, Caller())
    assert handle.direct
    assert await handle.write(0, b" more") == 5
    await handle.close()
    assert await tree.outside.get(b"file") == b"text more"
