"""The served host tree: confined to its directory, true to what the host does meanwhile."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trio
from mounting import mounted

from libos.fs.host import HostDirectory, HostTree
from libos.fs.node import Caller, Change, File, Symlink

CALLER = Caller()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is served; secrets stand beside it."""
    (tmp_path / "secret").write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


@pytest.fixture
def tree(folder: Path) -> Iterator[HostTree]:
    """The folder, served for reading and writing."""
    with open_tree(folder) as tree:
        yield tree


class open_tree:  # noqa: N801  # used as a function
    """A tree that is closed at the end, all its descriptors with it."""

    def __init__(self, folder: Path, *, writable: bool = True, capacity: int | None = None) -> None:
        fd = os.open(folder, os.O_RDONLY)
        self.tree = HostTree(fd, writable=writable, capacity=capacity)
        os.close(fd)

    def __enter__(self) -> HostTree:
        return self.tree

    def __exit__(self, *_: object) -> None:
        self.tree.close()


# --- confinement


async def test_links_are_shown_and_never_followed(folder: Path, tree: HostTree) -> None:
    (folder / "out").symlink_to("../secret")
    (folder / "proc").symlink_to("/proc/self/root")
    node = await tree.walk(b"out")
    assert isinstance(node, Symlink)
    assert await node.readlink() == b"../secret"
    assert not isinstance(await tree.walk(b"proc"), HostDirectory)


async def test_a_directory_swapped_for_a_link_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    (folder / "d").mkdir()
    (folder / "d" / "secret").write_text("mine")
    with open_tree(folder, capacity=0) as tree:  # so that it must open the directory again, by its name
        directory = await tree.walk(b"d")
        assert isinstance(directory, HostDirectory)
        file = await directory.walk(b"secret")
        (folder / "d").rename(folder / "moved")
        (folder / "d").symlink_to(tmp_path)
        tree.tree.descriptors.trim()
        for call in (lambda: directory.walk(b"secret"), file.stat, directory.readdir):
            with pytest.raises(OSError) as caught:
                await call()
            assert caught.value.errno in (errno.ESTALE, errno.ENOTDIR, errno.ELOOP)


async def test_a_file_swapped_for_another_is_stale_and_found_anew(folder: Path) -> None:
    (folder / "a").write_text("old")
    with open_tree(folder, capacity=0) as tree:
        node = await tree.walk(b"a")
        (folder / "b").write_text("new one")
        (folder / "b").rename(folder / "a")
        tree.tree.descriptors.trim()
        with pytest.raises(OSError, match="Stale"):
            await node.stat()
        assert (await (await tree.walk(b"a")).stat()).size == 7


async def test_what_an_app_does_with_links_touches_nothing_outside(folder: Path, tmp_path: Path) -> None:
    code = """
os.symlink("../..", "w/up"); os.symlink("/", "w/root"); os.mkdir("w/d")
for path in ("w/up/secret", "w/d/../../../secret", "w/../secret"):
    for call in (lambda: open(path).read(), lambda: os.unlink(path), lambda: open(path, "w").close()):
        try: call()
        except OSError: pass
os.rename("w/d", "w/e"); os.symlink("..", "w/d")
try: os.unlink("w/d/secret")
except OSError: pass
"""
    with open_tree(folder) as tree:
        async with mounted({"w": tree}) as mount:
            assert (await mount.python(code)).status == 0
    assert (tmp_path / "secret").read_text() == "secret"


async def test_a_read_only_tree_refuses_every_change_with_erofs(folder: Path) -> None:
    (folder / "a").write_text("a")
    (folder / "d").mkdir()
    with open_tree(folder, writable=False) as tree:
        file = await tree.walk(b"a")
        assert isinstance(file, File)
        calls = [
            lambda: tree.create(b"n", 0o644, os.O_RDWR, CALLER),
            lambda: tree.mkdir(b"n", 0o755, CALLER),
            lambda: tree.symlink(b"n", b"a", CALLER),
            lambda: tree.mknod(b"n", stat.S_IFIFO | 0o644, 0, CALLER),
            lambda: tree.link(b"n", file),
            lambda: tree.remove(b"a", directory=False),
            lambda: tree.remove(b"d", directory=True),
            lambda: tree.rename(b"a", tree, b"n", 0),
            lambda: file.open(os.O_WRONLY, CALLER),
            lambda: file.open(os.O_RDONLY | os.O_TRUNC, CALLER),
            lambda: file.setattr(Change(mode=0o600)),
            lambda: file.setattr(Change(size=0)),
            lambda: file.setxattr(b"user.a", b""),
            lambda: file.removexattr(b"user.a"),
        ]
        for call in calls:
            with pytest.raises(OSError) as caught:
                await call()  # type: ignore[no-untyped-call]
            assert caught.value.errno == errno.EROFS
    assert sorted(os.listdir(folder)) == ["a", "d"]


# --- what may be made


async def test_set_user_id_bits_are_neither_made_nor_shown(folder: Path, tree: HostTree) -> None:
    node, handle = await tree.create(b"a", 0o6755, os.O_RDWR, CALLER)
    await handle.close()
    assert (await node.setattr(Change(mode=0o6711))).mode == stat.S_IFREG | 0o711
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o711
    (folder / "a").chmod(0o4755)
    assert (await node.stat()).mode == stat.S_IFREG | 0o755
    await tree.mknod(b"f", stat.S_IFIFO | 0o6644, 0, CALLER)
    assert stat.S_IMODE((folder / "f").stat().st_mode) == 0o644


async def test_device_files_and_foreign_attributes_are_refused(tree: HostTree) -> None:
    with refused_exc(errno.EPERM):
        await tree.mknod(b"null", stat.S_IFCHR | 0o666, os.makedev(1, 3), CALLER)
    node, handle = await tree.create(b"a", 0o644, os.O_RDWR, CALLER)
    await handle.close()
    for name in (b"security.capability", b"trusted.x", b"system.posix_acl_access"):
        with refused_exc(errno.ENOTSUP):
            await node.setxattr(name, b"x")
    with refused_exc(errno.EPERM):
        await node.setattr(Change(uid=0))


def refused_exc(number: int) -> AbstractContextManager[object]:
    """A context that demands an errno."""
    return pytest.raises(OSError, check=lambda error: error.errno == number)


@pytest.mark.parametrize("umask", [0o077, 0o000])
async def test_modes_do_not_depend_on_the_umask_of_the_server(
    folder: Path, tree: HostTree, umask: int
) -> None:
    before = os.umask(umask)
    try:
        _, handle = await tree.create(b"a", 0o664, os.O_RDWR, CALLER)
        await handle.close()
        await tree.mkdir(b"d", 0o775, CALLER)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o664
    assert stat.S_IMODE((folder / "d").stat().st_mode) == 0o775


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can serve another user's files")
async def test_root_serves_as_the_owner(folder: Path) -> None:
    os.chown(folder, 1000, 1000)
    (folder / "roots").write_text("root's own")
    (folder / "roots").chmod(0o600)
    fd = os.open(folder, os.O_RDONLY)
    tree = HostTree(fd, writable=True, owner=(1000, 1000))
    os.close(fd)
    try:
        _, handle = await tree.create(b"a", 0o644, os.O_RDWR, CALLER)
        await handle.close()
        await tree.mkdir(b"d", 0o755, CALLER)
        await tree.symlink(b"l", b"a", CALLER)
        for name in ("a", "d", "l"):
            assert os.lstat(folder / name).st_uid == 1000
            assert (await (await tree.walk(name.encode())).stat()).uid == 1000
        roots = await tree.walk(b"roots")
        assert isinstance(roots, File)
        assert (await roots.stat()).uid == 65534
        with refused_exc(errno.EACCES):
            await roots.open(os.O_RDONLY, CALLER)
        with refused_exc(errno.EPERM):
            await roots.setattr(Change(mode=0o666))
        with refused_exc(errno.EPERM):
            await tree.link(b"stolen", roots)
    finally:
        tree.close()
    (folder / "still root").write_text("")
    assert os.lstat(folder / "still root").st_uid == 0


# --- one inode, one node


async def test_a_file_is_one_node_under_all_its_names(folder: Path, tree: HostTree) -> None:
    (folder / "a").write_text("a")
    (folder / "b").hardlink_to(folder / "a")
    node = await tree.walk(b"a")
    assert await tree.walk(b"b") is node
    await tree.rename(b"a", tree, b"c", 0)
    assert await tree.walk(b"c") is node


async def test_more_files_than_descriptors(folder: Path) -> None:
    (folder / "d").mkdir()
    for number in range(300):
        (folder / "d" / str(number)).write_text(str(number))
    before = len(os.listdir("/proc/self/fd"))
    with open_tree(folder, capacity=16) as tree:
        directory = await tree.walk(b"d")
        assert isinstance(directory, HostDirectory)
        nodes = [await directory.walk(str(number).encode()) for number in range(300)]
        assert len(os.listdir("/proc/self/fd")) - before <= 20
        (folder / "d").rename(folder / "e")
        assert (await (await tree.walk(b"e")).stat()).mode & stat.S_IFDIR
        for number, node in enumerate(nodes):
            assert (await node.stat()).size == len(str(number))
        del nodes, node
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_removed_file_is_kept_for_who_holds_it(folder: Path) -> None:
    (folder / "a").write_text("hello")
    with open_tree(folder, capacity=0) as tree:
        node = await tree.walk(b"a")
        await tree.remove(b"a", directory=False)
        (folder / "a").write_text("another")
        tree.tree.descriptors.trim()
        found = await node.stat()
        assert (found.size, found.links) == (5, 0)
        assert isinstance(node, File)
        handle = await node.open(os.O_RDONLY, CALLER)
        assert await handle.read(0, 9) == b"hello"
        await handle.close()


async def test_no_descriptor_is_left_when_nodes_are_let_go(folder: Path, tree: HostTree) -> None:
    for number in range(50):
        (folder / str(number)).write_text("")
        await tree.walk(str(number).encode())
    assert len(tree.tree.descriptors) <= 2


async def test_too_many_open_files_are_enfile(folder: Path, tree: HostTree) -> None:
    (folder / "a").write_text("a")
    tree.tree.most_open = 3
    file = await tree.walk(b"a")
    assert isinstance(file, File)
    handles = [await file.open(os.O_RDONLY, CALLER) for _ in range(3)]
    with refused_exc(errno.ENFILE):
        await file.open(os.O_RDONLY, CALLER)
    for handle in handles:
        await handle.close()
    await (await file.open(os.O_RDONLY, CALLER)).close()


# --- what the host does meanwhile


async def test_changes_of_the_host_show_by_name_at_once(folder: Path, tree: HostTree) -> None:
    (folder / "a").write_text("one")
    async with mounted({"w": tree}) as mount:
        assert (await mount.run("cat", "w/a")).out == b"one"
        (folder / "a").write_text("two, longer")
        assert (await mount.run("cat", "w/a")).out == b"two, longer"
        (folder / "b").write_text("three")
        (folder / "b").rename(folder / "a")
        assert (await mount.run("cat", "w/a")).out == b"three"
        (folder / "a").unlink()
        assert (await mount.run("cat", "w/a")).status == 1
        assert (await mount.run("ls", "w")).out == b""


async def test_a_reader_sees_what_the_host_appends(folder: Path, tree: HostTree) -> None:
    (folder / "log").write_text("one\n")
    code = """
file = open("w/log")
print(file.readline(), end="", flush=True)
sys.stdin.readline()
while not (line := file.readline()): pass
print(line, end="")
"""
    async with mounted({"w": tree}) as mount:
        program = await mount.start(sys.executable, "-c", "import sys" + code)
        assert await program.stdout.receive_some() == b"one\n"
        async with await trio.open_file(folder / "log", "a") as log:
            await log.write("two\n")
        await program.stdin.send_all(b"\n")
        with trio.fail_after(20):
            assert await program.stdout.receive_some() == b"two\n"
            assert await program.wait() == 0
        await program.close()


GIT = """
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a
export GIT_COMMITTER_EMAIL=a@b
git init -q . && echo hello > a && git add a && git commit -qm first && git mv a b && git commit -qm second
git gc -q && git status --porcelain && git log --oneline | wc -l
"""


async def test_git_works_in_a_served_tree(folder: Path, tree: HostTree) -> None:
    async with mounted({"w": tree}) as mount:
        result = await mount.run("sh", "-c", GIT, directory="w")
        assert (result.status, result.out.strip()) == (0, b"2"), result
    check = ["git", "-c", "safe.directory=*", "-C", str(folder), "fsck", "--strict"]
    await trio.run_process(check, capture_stdout=True, capture_stderr=True)


async def test_sqlite_works_in_a_served_tree(folder: Path, tree: HostTree) -> None:
    code = """
import sqlite3
for mode in ("delete", "wal"):
    base = sqlite3.connect(f"w/{mode}.db"); base.execute(f"pragma journal_mode={mode}")
    base.execute("create table t (n)")
    with base: base.executemany("insert into t values (?)", ((n,) for n in range(1000)))
    print(base.execute("select sum(n), count(*) from t").fetchone()); base.close()
"""
    async with mounted({"w": tree}) as mount:
        result = await mount.run(sys.executable, "-c", code)
        assert result.out == b"(499500, 1000)\n" * 2, result
