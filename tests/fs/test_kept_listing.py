"""Listings that the kernel keeps: they are as true as those that are asked for."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyfuse3
import pytest
import trio
from mounting import Mount, Program, mounted

from libos.fs import directory_flags, host, host_nodes, kept_listing
from libos.fs.directory_flags import CACHE_READDIR, KEEP_CACHE
from libos.fs.host import HostDirectory, HostTree
from libos.fs.host_nodes import KEPT_NAMES
from libos.fs.inodes import Inode
from libos.fs.layers.auditing import Audited
from libos.fs.layers.hiding import Hide
from libos.fs.layers.layer import Layer
from libos.fs.layers.readonly import ReadOnly
from libos.fs.layers.stack import Stack
from libos.fs.memory import MemoryDirectory, memory_tree
from libos.fs.node import CHANGING, STATIC, Caller, Directory, Node
from libos.fs.union import Element, Union
from libos.fs.worlds import Attachment, Open

CODE = """
import sys
def tell(*words): print(*words, flush=True)
def turn(): tell("-"); sys.stdin.readline()
def names(where): return "".join(sorted(os.listdir(where)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some files and a directory of two, which counts as quiet however young it is, and is kept
    however slow the machine is."""
    monkeypatch.setattr(host_nodes, "QUIET_AGE", -(10**18))
    monkeypatch.setattr(host, "KEPT_NAMES", replace(KEPT_NAMES, entry=10_000))
    for module in (host, host_nodes):
        monkeypatch.setattr(module, "KEEP", 10_000)
    monkeypatch.setattr(kept_listing, "LONGEST", 10_000)
    (tmp_path / "d").mkdir()
    for name in ("a", "d/b", "d/c"):
        (tmp_path / name).touch()
    return tmp_path


def served(folder: Path) -> HostTree:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return HostTree(fd, writable=True)
    finally:
        os.close(fd)


@pytest.fixture
def tree(folder: Path) -> Iterator[HostTree]:
    tree = served(folder)
    yield tree
    tree.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The directories of whose names the server was asked."""
    directories: list[object] = []

    def noting(kind: type[Directory]) -> Callable[[Directory], object]:
        readdir = kind.readdir

        async def note(self: Directory) -> list[bytes]:
            directories.append(self)
            return await readdir(self)

        return note

    for kind in (HostDirectory, MemoryDirectory):
        monkeypatch.setattr(kind, "readdir", noting(kind))
    return directories


async def told(tree: HostTree, mount: Mount) -> None:
    """Returns when the kernel knows of all that the host has changed so far."""
    tree.tree.watches.drain()
    for attachment in mount.attachments.values():
        await attachment.settle()


class Talk:
    """A program in the mount that takes turns with the test."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._text = b""

    async def hears(self) -> str:
        """What it says until it waits."""
        while not self._text.endswith(b"-\n"):
            more = await self.program.stdout.receive_some()
            assert more, (await self.program.stderr.receive_some()).decode()
            self._text += more
        text, self._text = self._text.decode(), b""
        return text.removesuffix("-\n").rstrip("\n")

    async def goes_on(self) -> str:
        """Its next words, after it was told to go on."""
        await self.program.stdin.send_all(b"\n")
        return await self.hears()


async def start(mount: Mount, code: str) -> Talk:
    source = "import os\n" + CODE + code
    return Talk(await mount.start(sys.executable, "-I", "-S", "-c", source))


# --- what is kept


async def test_a_quiet_directory_is_asked_for_once(tree: HostTree, asked: list[object]) -> None:
    async with mounted({"w": tree}) as mount:
        for _ in range(3):
            assert (await mount.run("ls", "w/d")).out == b"b\nc\n"
        assert len(asked) == 1
        # Whoever lists what is kept finds the numbers that stat finds.
        code = "print(all(each.inode() == os.lstat(each.path).st_ino for each in os.scandir('w/d')))"
        assert (await mount.python(code)).out == b"True\n"
        assert len(asked) == 1


async def test_a_memory_tree_is_asked_again_only_after_a_change(asked: list[object]) -> None:
    async with mounted({"w": memory_tree()}) as mount:
        script = "mkdir w/d; touch w/d/a; ls w/d; ls w/d; ls w/d"
        assert (await mount.run("sh", "-c", script)).out == b"a\na\na\n"
        assert len(asked) == 1
        assert (await mount.run("sh", "-c", "mv w/d/a w/d/b; ls w/d; rm w/d/b; ls w/d")).out == b"b\n"
        assert len(asked) == 3


async def test_what_is_long_is_kept_whole(folder: Path, tree: HostTree, asked: list[object]) -> None:
    for number in range(10_000):
        (folder / "d" / str(number)).touch()
    code = "names = os.listdir('w/d'); print(len(names), len(set(names)))"
    async with mounted({"w": tree}) as mount:
        for _ in range(3):
            assert (await mount.python(code)).out == b"10002 10002\n"
        assert len(asked) == 1
        (folder / "d" / "777").unlink()
        await told(tree, mount)
        assert (await mount.python(code)).out == b"10001 10001\n"
        assert len(asked) == 2


async def test_a_kept_listing_can_be_gone_back_in(folder: Path, tree: HostTree, asked: list[object]) -> None:
    for number in range(2000):
        (folder / "d" / str(number)).touch()
    code = """
import ctypes
libc = ctypes.CDLL(None)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
def read(stream):
    entry = libc.readdir(ctypes.c_void_p(stream))
    return ctypes.string_at(entry + 19) if entry else None
for turn in range(3):
    stream = libc.opendir(b"w/d")
    places, names = [], []
    while True:
        places.append(libc.telldir(ctypes.c_void_p(stream)))
        name = read(stream)
        if name is None:
            break
        names.append(name)
    assert len(names) == len(set(names)) == 2004, len(names)
    for at in (2003, 0, 1000, 1, 1999, 2004):
        libc.seekdir(ctypes.c_void_p(stream), ctypes.c_long(places[at]))
        assert read(stream) == (names[at] if at < 2004 else None), at
    libc.rewinddir(ctypes.c_void_p(stream))
    assert [read(stream) for _ in names] == names
    libc.closedir(ctypes.c_void_p(stream))
print("well")
"""
    async with mounted({"w": tree}) as mount:
        result = await mount.python(code)
        assert (result.out, result.err) == (b"well\n", b"")
        before = len(asked)
        assert (await mount.python(code)).out == b"well\n"
        assert len(asked) == before


# --- what changes


async def test_what_the_host_does_is_listed(folder: Path, tree: HostTree, asked: list[object]) -> None:
    async with mounted({"w": tree}) as mount:
        talk = await start(
            mount,
            """
held = os.open("w/d", os.O_RDONLY)
while True: tell(names("w/d"), names(held)); turn()
""",
        )
        assert await talk.hears() == "bc bc"
        for change, expected in (
            ((folder / "d" / "n").touch, "bcn"),
            ((folder / "d" / "b").unlink, "cn"),
            (lambda: (folder / "d" / "c").rename(folder / "d" / "m"), "mn"),
            (lambda: (folder / "d" / "n").rename(folder / "n"), "m"),
            ((folder / "d" / "s").mkdir, "ms"),
        ):
            change()
            await told(tree, mount)
            assert await talk.goes_on() == f"{expected} {expected}"
            before = len(asked)
            assert await talk.goes_on() == f"{expected} {expected}"
            assert len(asked) == before
        await talk.program.stdin.aclose()


async def test_what_the_program_does_itself_is_listed(tree: HostTree) -> None:
    code = """
held = os.open("w/d", os.O_RDONLY)
def both(expected):
    for _ in range(3):
        assert names("w/d") == names(held) == expected, (names("w/d"), names(held), expected)
both("bc")
os.close(os.open("w/d/n", os.O_CREAT | os.O_WRONLY)); both("bcn")
os.unlink("w/d/b"); both("cn")
os.rename("w/d/c", "w/d/m"); both("mn")
os.rename("w/d/n", "w/n"); both("m")
os.mkdir("w/d/s"); both("ms")
os.rename("w/a", "w/d/a"); both("ams")
os.rename("w/d/a", "w/d/m"); both("ms")
os.symlink("m", "w/d/l"); both("lms")
os.rmdir("w/d/s"); both("lm")
os.link("w/n", "w/d/h"); both("hlm")
tell("well")
"""
    async with mounted({"w": tree}) as mount:
        result = await mount.python(CODE + code)
        assert (result.out, result.err) == (b"well\n", b"")


@pytest.mark.parametrize("kind", ["host", "memory"])
async def test_what_another_world_does_is_listed(kind: str, folder: Path) -> None:
    tree: Directory = served(folder / "d") if kind == "host" else memory_tree()
    async with mounted({"v": tree, "w": tree}) as mount:
        if kind == "memory":
            await mount.run("touch", "v/b", "v/c")
        talk = await start(
            mount, 'held = os.open("w", os.O_RDONLY)\nwhile True: tell(names("w"), names(held)); turn()'
        )
        assert await talk.hears() == await talk.goes_on() == "bc bc"
        for command, expected in (("touch v/n", "bcn"), ("rm v/b", "cn"), ("mv v/c v/m", "mn")):
            assert (await mount.run("sh", "-c", command)).status == 0
            await mount.attachments["w"].settle()
            assert await talk.goes_on() == await talk.goes_on() == f"{expected} {expected}"
        await talk.program.stdin.aclose()
    if isinstance(tree, HostTree):
        tree.close()


async def test_many_who_list_and_change_at_once_see_what_is_there_in_the_end(tree: HostTree) -> None:
    script = """
cd w/d
for worker in 1 2 3 4; do (
    for round in $(seq 60); do touch f$worker.$round; ls >/dev/null; rm -f f$worker.$((round - 5)); done
) & done
wait
ls | sort > ../kept; ls -U . | sort > ../kept2; touch .x; rm .x; ls | sort > ../asked
cmp ../kept ../asked && cmp ../kept2 ../asked && ls | wc -l
"""
    async with mounted({"w": tree}) as mount:
        result = await mount.run("sh", "-c", script)
        assert (result.out, result.err) == (b"22\n", b"")


@pytest.mark.parametrize("lister", [False, True], ids=["alone", "while another one lists"])
@pytest.mark.parametrize("kept", [False, True], ids=["asked", "kept"])
async def test_whoever_is_in_the_middle_misses_nothing(
    kept: bool, lister: bool, folder: Path, tree: HostTree
) -> None:
    for number in range(3000):
        (folder / "d" / str(number)).touch()
    code = """
stream = os.scandir("w/d")
seen = [next(stream).name for _ in range(300)]
tell(*seen); turn()
tell(*[each.name for each in stream]); turn()
"""
    async with mounted({"w": tree}) as mount:
        for _ in range(2 * kept):
            assert (await mount.run("ls", "w/d")).status == 0
        talk = await start(mount, code)
        first = (await talk.hears()).split()
        for name in first[:200]:
            (folder / "d" / name).unlink()
        (folder / "d" / "new").touch()
        await told(tree, mount)
        if lister:
            for _ in range(2):
                assert len((await mount.run("ls", "w/d")).out.split()) == 2803
        rest = (await talk.goes_on()).split()
        assert len(set(first + rest) - {"new"}) == len(first + rest) - rest.count("new") == 3002
        await talk.program.stdin.aclose()


@pytest.mark.parametrize("kind", ["host", "memory"])
async def test_a_tree_can_be_removed_while_others_list_it(kind: str, tree: HostTree) -> None:
    script = """
mkdir w/t; cd w/t; seq 1500 | xargs touch; cd ../..; ls w/t >/dev/null; ls w/t >/dev/null
(while [ -d w/t ]; do ls -U w/t >/dev/null 2>&1; done) &
(while [ -d w/t ]; do find w/t >/dev/null 2>&1; done) &
rm -r w/t; echo $?; wait; ls w/t 2>/dev/null; echo $?
"""
    async with mounted({"w": tree if kind == "host" else memory_tree()}) as mount:
        result = await mount.run("sh", "-c", script)
        assert (result.out, result.err) == (b"0\n2\n", b"")


async def test_what_was_taken_back_is_eio(tree: HostTree) -> None:
    async with mounted({"w": tree}) as mount:
        talk = await start(
            mount,
            """
held = os.open("w/d", os.O_RDONLY)
def word(call):
    try: return call()
    except OSError as error: return os.strerror(error.errno)
while True: tell(word(lambda: names("w/d")) + ";", word(lambda: names(held))); turn()
""",
        )
        assert await talk.hears() == await talk.goes_on() == "bc; bc"
        mount.attachments["w"].revoke(b"d")
        await mount.attachments["w"].settle()
        # The name leads to the directory still: it is found anew, and what was held is gone.
        assert await talk.goes_on() == "bc; Input/output error"
        await talk.program.stdin.aclose()


# --- what is not kept


def layered(tree: Directory, *layers: Layer) -> Node:
    return Stack(layers).wrap(tree)


@pytest.mark.parametrize(
    ("over", "times"),
    [
        (lambda tree: layered(tree, ReadOnly()), 1),
        (lambda tree: layered(tree, Hide(["nothing"])), 3),
        (lambda tree: layered(tree, Audited(lambda *_, **__: None)), 3),
        (lambda tree: Union([Element(tree)]), 3),
    ],
    ids=["read-only", "hide", "audited", "union"],
)
async def test_only_a_tree_whose_listings_nobody_has_to_see_is_kept(
    over: Callable[[Directory], Node], times: int, tree: HostTree, asked: list[object]
) -> None:
    async with mounted({"w": over(tree)}) as mount:
        for _ in range(3):
            assert (await mount.run("ls", "w")).out == b"a\nd\n"
        assert asked == [tree] * times


async def test_a_layer_that_comes_later_is_seen(tree: HostTree) -> None:
    stack = Stack()
    async with mounted({"w": stack.wrap(tree)}) as mount:
        talk = await start(
            mount, 'held = os.open("w/d", os.O_RDONLY)\nwhile True: tell(names("w/d"), names(held)); turn()'
        )
        assert await talk.hears() == await talk.goes_on() == "bc bc"
        stack.add(Hide(["b"]))
        mount.attachments["w"].forget(stack.holds)
        await mount.attachments["w"].settle()
        assert await talk.goes_on() == "c c"
        await talk.program.stdin.aclose()


async def test_a_listing_that_lacks_a_name_is_not_kept(
    tree: HostTree, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = HostDirectory.walk
    failing = [True]

    async def busy(self: HostDirectory, name: bytes) -> Node:
        if name == b"c" and failing:
            raise OSError(23, "too many")
        return await walk(self, name)

    monkeypatch.setattr(HostDirectory, "walk", busy)
    async with mounted({"w": tree}) as mount:
        for _ in range(2):
            assert (await mount.run("ls", "w/d")).out == b"b\n"
        failing.clear()
        assert (await mount.run("ls", "w/d")).out == b"b\nc\n"


async def test_a_directory_that_changed_lately_is_asked_for(
    tree: HostTree, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_nodes, "QUIET_AGE", 10**18)
    async with mounted({"w": tree}) as mount:
        for _ in range(3):
            assert (await mount.run("ls", "w/d")).out == b"b\nc\n"
        assert len(asked) == 3


# --- the rules, without a kernel


class Names(Directory):
    """A directory that is in the state that it is told."""

    cache = STATIC
    state: object = 1

    def same_names(self) -> object:
        return self.state


def inode_of(directory: Directory) -> Inode[Attachment | None]:
    return Inode(7, directory, None, None, b"")


def test_a_copy_is_kept_while_nothing_changes() -> None:
    directory = Names()
    inode = inode_of(directory)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR | KEEP_CACHE
    directory.state = None
    assert kept_listing.opens(Open(inode, None, 0)) == 0


def test_no_copy_is_begun_while_another_state_may_be_added_to_it() -> None:
    directory = Names()
    inode = inode_of(directory)
    old, idle = Open(inode, None, 0), Open(inode, None, 0)
    for opened in (old, idle):
        kept_listing.opens(opened)
    kept_listing.begins(old)
    directory.state = 2
    assert kept_listing.opens(Open(inode, None, 0)) == 0
    directory.state = 1  # it cannot come back; were it so, what the kernel has is not known any more
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    directory.state = 2
    kept_listing.ends(old)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    kept_listing.begins(idle)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR | KEEP_CACHE


def test_a_listing_of_another_state_voids_the_copy() -> None:
    directory = Names()
    inode = inode_of(directory)
    opened = Open(inode, None, 0)
    kept_listing.opens(opened)
    directory.state = 2
    kept_listing.begins(opened)
    directory.state = 1
    kept_listing.ends(opened)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR


def test_a_copy_is_renewed_before_what_it_told_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(kept_listing, "time", SimpleNamespace(monotonic=lambda: now[0]))
    directory = Names()
    directory.cache = KEPT_NAMES
    inode = inode_of(directory)
    half = KEPT_NAMES.entry / 2
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    now[0] += half - 0.5
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR | KEEP_CACHE
    now[0] += 0.5
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    directory.cache = CHANGING
    assert kept_listing.opens(Open(inode, None, 0)) == 0


async def test_names_that_come_or_go_are_another_state(folder: Path, tree: HostTree) -> None:
    tree.watch(lambda path, gone: None)
    directory = await tree.walk(b"d")
    assert isinstance(directory, HostDirectory)
    states: list[object] = []

    def differs() -> bool:
        """Whether the names are another state than each before."""
        directory.show(os.fstat(directory.fd()))
        states.append(directory.same_names())
        assert states[-1] is not None
        return states[-1] not in states[:-1]

    assert differs()
    await directory.readdir()
    for name in (b"b", b"c"):
        (await directory.walk(name)).known()
    assert not differs()  # looking changes nothing
    (folder / "d" / "n").touch()
    tree.tree.watches.drain()
    assert differs()
    (folder / "d" / "n").write_text("a change of what a name leads to is none of the names")
    tree.tree.watches.drain()
    assert not differs()
    await directory.remove(b"n", directory=False)
    assert differs()
    await directory.mkdir(b"s", 0o755, Caller())
    assert differs()
    await directory.rename(b"s", tree, b"s", 0)
    assert differs()


# --- pyfuse3 is not as expected


async def test_without_the_bits_each_listing_is_asked_for(
    tree: HostTree, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    function = pyfuse3.fuse_opendir_async  # type: ignore[attr-defined]
    plain = getattr(function, "_first", function)
    monkeypatch.setattr(pyfuse3, "fuse_opendir_async", plain, raising=False)
    monkeypatch.setattr(directory_flags, "_as_expected", lambda kind: False)
    async with mounted({"w": tree}) as mount:
        for _ in range(3):
            assert (await mount.run("ls", "w/d")).out == b"b\nc\n"
        assert len(asked) == 3 and pyfuse3.fuse_opendir_async is plain  # type: ignore[attr-defined]


def test_memory_that_is_not_as_expected_stays_as_it_is() -> None:
    container = pyfuse3._Container()  # type: ignore[attr-defined]
    request = directory_flags.Request(container)
    head = object.__basicsize__
    fields = ctypes.c_char * (type(container).__basicsize__ - head)
    memory = fields.from_address(id(container) + head)
    assert bytes(memory) == bytes(len(memory))
    assert not request.set(KEEP_CACHE, 7)  # no inode of this number
    assert bytes(memory) == bytes(len(memory))
    for offset in (12, 16, 24):  # bits, padding and handle are set already
        memory[offset] = b"\x10"
        before = bytes(memory)
        assert not request.set(KEEP_CACHE, 0)
        assert bytes(memory) == before
        memory[offset] = b"\0"
    assert request.set(KEEP_CACHE, 0)
    assert [at for at, byte in enumerate(bytes(memory)) if byte] == [12]


@pytest.mark.parametrize("kind", [None, object(), object, int, list, dict, str])
def test_another_kind_of_container_is_not_touched(kind: object) -> None:
    def first(container: object) -> None:
        """What pyfuse3 would call."""

    module = SimpleNamespace(fuse_opendir_async=first, _Container=kind)
    directory_flags.stand_before(module)  # type: ignore[arg-type]
    assert module.fuse_opendir_async is first
    directory_flags.stand_before(SimpleNamespace())  # type: ignore[arg-type]


async def test_a_container_of_another_kind_is_passed_on() -> None:
    taken: list[object] = []
    module = SimpleNamespace(fuse_opendir_async=taken.append, _Container=pyfuse3._Container)  # type: ignore[attr-defined]
    directory_flags.stand_before(module)  # type: ignore[arg-type]
    once = module.fuse_opendir_async
    directory_flags.stand_before(module)  # type: ignore[arg-type]
    assert module.fuse_opendir_async is once
    once("something else")
    assert taken == ["something else"] and directory_flags.taken() is None
    container = pyfuse3._Container()  # type: ignore[attr-defined]
    once(container)
    assert taken[1:] == [container] and directory_flags.taken() is not None
    assert directory_flags.taken() is None
    await trio.lowlevel.checkpoint()
