"""What the kernel keeps of a served host tree, and how it hears of what the host changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from mounting import Mount, mounted

from libos.fs import host, host_nodes, host_watch
from libos.fs.host import HostDirectory, HostTree
from libos.fs.node import Attributes, Caller, Change, File
from libos.kernel import inotify

CALLER = Caller()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file and a directory, which counts as quiet however young it is."""
    monkeypatch.setattr(host_nodes, "QUIET_AGE", -(10**18))
    (tmp_path / "a").write_text("one")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b").write_text("two")
    return tmp_path


@pytest.fixture
def tree(folder: Path) -> Iterator[HostTree]:
    fd = os.open(folder, os.O_RDONLY)
    tree = HostTree(fd, writable=True)
    os.close(fd)
    yield tree
    tree.close()


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The names that the server was asked for."""
    names: list[bytes] = []
    walk = HostDirectory.walk

    async def noting(self: HostDirectory, name: bytes) -> object:
        names.append(name)
        return await walk(self, name)

    monkeypatch.setattr(HostDirectory, "walk", noting)
    return names


async def told(tree: HostTree, mount: Mount) -> None:
    """Returns when the kernel knows of all that the host has changed so far."""
    tree.tree.watches.drain()
    await mount.attachments["w"].settle()


async def test_a_quiet_tree_is_asked_for_once(tree: HostTree, looked: list[bytes]) -> None:
    async with mounted({"w": tree}) as mount:
        assert (await mount.run("cat", "w/a", "w/d/b")).out == b"onetwo"
        assert looked == [b"a", b"d", b"b"]
        for _ in range(3):
            assert (await mount.run("cat", "w/a", "w/d/b")).out == b"onetwo"
        assert looked == [b"a", b"d", b"b"]


async def test_a_listing_tells_what_stat_asks_for(folder: Path, tree: HostTree, looked: list[bytes]) -> None:
    for number in range(300):
        (folder / "d" / str(number)).touch()
    async with mounted({"w": tree}) as mount:
        code = "print(len([os.stat(each.path) for each in os.scandir('w/d')]))"
        assert (await mount.python(code)).out == b"301\n"
        assert set(looked) == {b"d", b"b", *(b"%d" % number for number in range(300))}
        before = len(looked)
        assert before <= 303  # once each, by the listing; again what an answer had no room for
        assert (await mount.python(code)).out == b"301\n"
        assert len(looked) == before


@pytest.mark.parametrize("name", ["a", "d/b"])
async def test_what_the_host_does_to_a_kept_file_is_told(folder: Path, tree: HostTree, name: str) -> None:
    path = folder / name
    async with mounted({"w": tree}) as mount:

        async def shows(command: str, expected: bytes) -> None:
            await told(tree, mount)
            assert (await mount.run("sh", "-c", f"cd w; {command}")).out == expected

        await shows(f"cat {name}; stat -c %a {name}", path.read_bytes() + b"644\n")
        path.write_text("longer than before")
        await shows(f"cat {name}", b"longer than before")
        path.chmod(0o600)
        await shows(f"stat -c %a {name}", b"600\n")
        (folder / "new").write_text("replaced")
        (folder / "new").rename(path)
        await shows(f"cat {name}", b"replaced")
        path.unlink()
        await shows(f"cat {name} 2>/dev/null; ls {name} 2>/dev/null", b"")
        path.mkdir()
        await shows(f"stat -c %F {name}", b"directory\n")


async def test_a_new_name_of_the_host_is_listed(folder: Path, tree: HostTree) -> None:
    async with mounted({"w": tree}) as mount:
        assert (await mount.run("ls", "w/d")).out == b"b\n"
        (folder / "d" / "c").touch()
        await told(tree, mount)
        assert (await mount.run("ls", "w/d")).out == b"b\nc\n"
        (folder / "d").rename(folder / "e")
        await told(tree, mount)
        assert (await mount.run("ls", "w", "w/e")).out == b"w:\na\ne\n\nw/e:\nb\nc\n"


async def test_what_the_host_cuts_is_cut_for_who_reads(folder: Path, tree: HostTree) -> None:
    (folder / "a").write_bytes(b"x" * 100_000)
    code = (
        "fd = os.open('w/a', os.O_RDONLY); print(len(os.read(fd, 50_000)), flush=True)\n"
        "sys.stdin.readline()\n"
        "print(os.fstat(fd).st_size, len(os.read(fd, 50_000)), len(os.pread(fd, 50_000, 0)))"
    )
    async with mounted({"w": tree}) as mount:
        program = await mount.start("/usr/bin/python3", "-I", "-S", "-c", "import os, sys\n" + code)
        assert await program.stdout.receive_some() == b"50000\n"
        os.truncate(folder / "a", 10)
        await told(tree, mount)
        await program.stdin.send_all(b"\n")
        assert await program.stdout.receive_some() == b"10 0 10\n"
        assert await program.wait() == 0
        await program.close()
        assert mount.faults == []


async def test_a_programs_own_changes_are_not_announced_to_it(tree: HostTree) -> None:
    heard: list[tuple[bytes, bool]] = []
    tree.watch(lambda path, gone: heard.append((path, gone)))
    script = """
cd w; cat a; ls d > /dev/null; echo more >> a; cat a; echo new > c; mv c d/c; ln d/c e; chmod 600 d/b
ls -l d >/dev/null
rm e a; cat d/c; mkdir f; mv d f/d; cat f/d/c; rm -r f; ls
"""
    async with mounted({"w": tree}) as mount:
        result = await mount.run("sh", "-c", script)
        assert result.out == b"oneonemore\nnew\nnew\n", result
        await told(tree, mount)
        assert [path for path, gone in heard if gone] == []
        assert mount.faults == []


async def test_a_directory_that_changed_lately_is_kept_and_each_change_told(
    folder: Path, tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    stat = HostDirectory.stat

    async def noting(self: HostDirectory) -> Attributes:
        asked.append(self.name)
        return await stat(self)

    monkeypatch.setattr(HostDirectory, "stat", noting)
    async with mounted({"w": tree}) as mount:
        assert (await mount.run("cat", "w/d/b")).out == b"two"  # it was quiet, and is watched
        monkeypatch.setattr(host_nodes, "QUIET_AGE", 10**18)
        monkeypatch.setattr(host, "SETTLED_AGE", -(10**18))
        for mode in (0o700, 0o711, 0o755):
            (folder / "d").chmod(mode)
            (folder / "d" / f"{mode:o}").touch()
            await told(tree, mount)
            shown = (await mount.run("sh", "-c", "stat -c %a w/d; ls w/d")).out.split()
            assert (shown[0], b"%o" % mode in shown[1:]) == (b"%o" % mode, True)
            asked.clear()
            assert (await mount.run("stat", "-c", "%a", "w/d", "w/d/b")).out == b"%o\n644\n" % mode
            assert b"d" not in asked


async def test_nothing_is_kept_where_nobody_listens(tree: HostTree) -> None:
    node = await tree.walk(b"a")
    node.known()
    assert (tree.cache.entry, node.cache.attributes) == (0, host_nodes.QUIET.attributes)
    tree.watch(lambda path, gone: None)
    node = await tree.walk(b"a")
    node.known()
    assert tree.cache.entry == node.cache.attributes == host_watch.KEEP


async def test_hard_links_and_files_open_for_writing_are_not_kept(folder: Path, tree: HostTree) -> None:
    tree.watch(lambda path, gone: None)
    (folder / "d" / "hard").hardlink_to(folder / "a")
    node = await tree.walk(b"a")
    node.known()
    assert node.cache is host_nodes.QUIET
    (folder / "d" / "hard").unlink()
    node = await tree.walk(b"a")
    node.known()
    assert node.cache is host_nodes.KEPT
    assert isinstance(node, File)
    handle = await node.open(os.O_WRONLY, CALLER)
    node.known()
    assert node.cache is host_nodes.QUIET
    await handle.close()
    await node.setattr(Change(mode=0o600))
    assert node.cache is host_nodes.KEPT


async def test_beyond_the_most_nothing_is_watched(tree: HostTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_watch, "MOST", 1)
    tree.watch(lambda path, gone: None)
    directory = await tree.walk(b"d")
    assert isinstance(directory, HostDirectory)
    node = await directory.walk(b"b")
    node.known()
    assert (tree.watch_number > 0, directory.watch_number, node.cache) == (True, 0, host_nodes.QUIET)


async def test_lost_events_void_all_that_was_told(tree: HostTree) -> None:
    heard: list[tuple[bytes, bool]] = []
    tree.watch(lambda path, gone: heard.append((path, gone)))
    directory = await tree.walk(b"d")
    assert isinstance(directory, HostDirectory)
    held = [await tree.walk(b"a"), await directory.walk(b"b")]
    for node in held:
        node.known()
    tree.tree.watches._deal_with(inotify.Event(-1, inotify.OVERFLOW, b""))
    assert sorted(heard) == [(b"", False), (b"a", True), (b"d", False), (b"d", True), (b"d/b", True)]
    assert tree.at_hand()(b"a") is None


async def test_a_watch_ends_with_its_directory(folder: Path, tree: HostTree) -> None:
    tree.watch(lambda path, gone: None)
    directory = await tree.walk(b"d")
    assert isinstance(directory, HostDirectory)
    await directory.walk(b"b")
    watches = tree.tree.watches
    assert len(watches._directories) == 2
    del directory
    assert len(watches._directories) == 1
    tree.close()
    assert len(watches._directories) == 0
    await trio.testing.wait_all_tasks_blocked()


async def test_an_absent_name_is_asked_for_once_until_the_host_makes_it(
    folder: Path, tree: HostTree, looked: list[bytes]
) -> None:
    async with mounted({"w": tree}) as mount:
        for _ in range(3):
            assert (await mount.run("sh", "-c", "cat w/d/c 2>/dev/null")).out == b""
        assert looked.count(b"c") == 1
        (folder / "new").write_text("came")
        (folder / "new").rename(folder / "d" / "c")
        await told(tree, mount)
        assert (await mount.run("cat", "w/d/c")).out == b"came"
        assert (await mount.run("sh", "-c", "cd w/d; rm c; cat c || echo own > c; cat c")).out == b"own\n"
        assert mount.faults == []


async def test_absent_names_are_kept_as_far_as_there_is_room(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "MOST_ABSENT", 2)
    tree.watch(lambda path, gone: None)
    with pytest.raises(FileNotFoundError):
        await tree.walk(b"x")
    assert [tree.keeps_absent(name) for name in (b"x", b"y", b"z")] == [host_watch.KEEP, host_watch.KEEP, 0]
    monkeypatch.setattr(host, "KEEP", 0.0)  # they are forgotten by now
    tree.keeps_absent(b"z")
    assert list(tree.absences) == [b"z"]
