"""Listings that the kernel keeps: they are as true as those that are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from mounting import mounted
from talking import CODE, served, start, told

from libos.fs.host import HostTree
from libos.fs.memory import memory_tree
from libos.fs.node import Directory

pytest_plugins = ["kept_listings"]


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
