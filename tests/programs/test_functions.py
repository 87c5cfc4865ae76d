"""Files, directories and links that functions answer."""

from __future__ import annotations

import errno
import gc
import threading
import weakref

import pytest
import trio
import trio.testing
from mounting import mounted
from serving import content, opened, tree

from libos.fs import synthetic
from libos.fs.calling import THREADS
from libos.fs.computed import directory, link
from libos.fs.node import Caller, Directory, File, Node, Symlink, refusal

# --- the content of a file


async def test_a_function_may_know_who_opens() -> None:
    def who(caller: Caller) -> str:
        return f"{caller.pid} {caller.uid}"

    async def later(caller: Caller) -> str:
        return who(caller)

    assert await content(synthetic.function(who)) == await content(synthetic.function(later)) == b"7 1000"


async def test_the_caller_is_the_program_that_opens() -> None:
    node = synthetic.function(lambda caller: f"{caller.pid} {caller.uid}")
    async with mounted({"w": tree(who=node)}) as mount:
        program = await mount.start("cat", "w/who")
        assert await program.stdout.receive_some() == f"{program.pid} 1000".encode()
        await program.wait()
        await program.close()


def test_a_function_of_other_arguments_is_refused_when_it_is_given() -> None:
    with pytest.raises(TypeError, match="a served function takes no argument, and one more where"):
        synthetic.function(lambda one, two: "x")
    with pytest.raises(TypeError, match="takes no argument"):
        synthetic.function(lambda *, named: "x")
    with pytest.raises(TypeError, match=r"a directory's entry function takes one argument$"):
        directory(list, lambda name, caller: "x")
    with pytest.raises(TypeError, match="callable, and str is not"):
        synthetic.function("text")  # type: ignore[arg-type]


async def test_defaults_and_builtins_count_as_no_argument() -> None:
    assert await content(synthetic.function(lambda text="x": text)) == b"x"
    assert await content(synthetic.function(str)) == b""


async def test_a_size_is_shown_and_is_the_most_that_may_come() -> None:
    text = "12345"
    node = synthetic.function(lambda: text, size=5)
    assert (await node.stat()).size == 5
    assert await content(node) == b"12345"
    text = "12"
    assert await content(node) == b"12"
    text = "123456"
    with pytest.raises(OSError, match="returned 6 bytes, more than its size of 5") as raised:
        await opened(node)
    assert raised.value.errno == errno.EIO


async def test_more_than_its_size_is_eio_and_an_event() -> None:
    nodes = tree(
        fits=synthetic.function(lambda: "abc", size=3), over=synthetic.function(lambda: "abcd", size=3)
    )
    async with mounted({"w": nodes}) as mount:
        code = """
import mmap
fd = os.open("fits", os.O_RDONLY)
print(os.fstat(fd).st_size, mmap.mmap(fd, 3, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)[:])
try: open("over")
except OSError as error: print(error.errno)
"""
        assert (await mount.python(code, directory="w")).out == b"3 b'abc'\n5\n"
        assert [(fault.path, fault.operation) for fault in mount.faults] == [(b"/over", "open")]
        assert "more than its size" in str(mount.faults[0].error)


async def test_threads_that_hang_hold_up_their_own_function_alone() -> None:
    go = threading.Event()
    started = threading.Semaphore(0)

    def hang() -> str:
        started.release()
        go.wait()
        return "late"

    code = f"""
import threading
import weakref
def use():
    try: open("hangs").read()
    except OSError as error: print(error.errno)
threads = [threading.Thread(target=use) for _ in range({THREADS + 5})]
for each in threads: each.start()
for each in threads: each.join()
"""
    nodes = tree(hangs=synthetic.function(hang, deadline=1.0), fine=synthetic.function(lambda: "fine"))
    try:
        async with mounted({"w": nodes}) as mount:
            program = await mount.start("python3", "-c", code, directory="w")
            for _ in range(THREADS):
                await trio.to_thread.run_sync(started.acquire)
            assert (await mount.run("cat", "w/fine")).out == b"fine"
            assert await program.wait() == 0
            out = b"".join([chunk async for chunk in program.stdout])
            assert out == f"{errno.ETIMEDOUT}\n".encode() * (THREADS + 5)
            assert {str(fault.error)[:9] for fault in mount.faults} == {"no answer"}
            await program.close()
    finally:
        go.set()


# --- a directory of computed entries


async def names(node: Node) -> list[bytes]:
    assert isinstance(node, Directory)
    return sorted(await node.readdir())


async def walked(node: Node, name: bytes) -> Node:
    assert isinstance(node, Directory)
    return await node.walk(name)


async def test_a_mapping_is_a_directory_and_changes_show() -> None:
    users = {"ann": "1", "bob": b"2"}
    node = directory(lambda: users)
    assert await names(node) == [b"ann", b"bob"]
    ann = await walked(node, b"ann")
    assert await content(ann) == b"1"
    users["ann"] = "new"
    assert await content(ann) == b"new"
    assert await walked(node, b"ann") is ann
    del users["ann"]
    with pytest.raises(FileNotFoundError):
        await walked(node, b"ann")
    with pytest.raises(OSError, match="Stale") as raised:
        await opened(ann)
    assert raised.value.errno == errno.ESTALE


async def test_names_and_an_entry_for_each() -> None:
    async def listed() -> list[str]:
        return ["1", "2", "2"]

    def square(name: str) -> str | None:
        return str(int(name) ** 2) if name.isdigit() else None

    node = directory(listed, square)
    assert await names(node) == [b"1", b"2"]
    assert await content(await walked(node, b"2")) == b"4"
    assert await content(await walked(node, b"12")) == b"144"
    with pytest.raises(FileNotFoundError):
        await walked(node, b"x")


async def test_an_entry_is_one_file_while_somebody_holds_it() -> None:
    node = directory(lambda: ["a"], lambda name: synthetic.text("made anew"))
    held = await walked(node, b"a")
    assert await walked(node, b"a") is held
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is None
    assert isinstance(await walked(node, b"a"), File)


async def test_an_entry_of_another_kind_is_another_file() -> None:
    kind: list[Node | str] = ["text"]
    node = directory(lambda: ["a"], lambda name: kind[0])
    first = await walked(node, b"a")
    kind[0] = directory(dict)
    second = await walked(node, b"a")
    assert isinstance(second, Directory)
    kind[0] = synthetic.text("x")
    third = await walked(node, b"a")
    assert isinstance(third, File)
    assert third not in (first, second)
    kind[0] = "text"
    assert await walked(node, b"a") not in (first, second, third)


async def test_a_listing_of_many_asks_once() -> None:
    asked = 0

    def many() -> dict[str, str]:
        nonlocal asked
        asked += 1
        return {f"{number:05}": str(number) for number in range(10_000)}

    code = (
        "entries = list(os.scandir('many')); print(len(entries), all(e.stat().st_size == 0 for e in entries))"
    )
    async with mounted({"w": tree(many=directory(many))}) as mount:
        assert (await mount.python(code, directory="w")).out == b"10000 True\n"
        assert asked < 1000
        assert (await mount.run("cat", "w/many/09999")).out == b"9999"


async def test_a_hundred_thousand_entries_are_listed() -> None:
    many = {f"{number:06}": "" for number in range(100_000)}
    async with mounted({"w": tree(many=directory(lambda: many))}) as mount:
        assert (await mount.python("print(len(os.listdir('many')))", directory="w")).out == b"100000\n"
        assert mount.faults == []


def test_threads_that_outlive_a_run_take_no_place_in_the_next_one() -> None:
    go = threading.Event()
    answer = "late"

    def hang() -> str:
        if answer == "late":
            go.wait()
        return answer

    node = synthetic.function(hang)

    async def abandon() -> None:
        with trio.move_on_after(0.1):
            async with trio.open_nursery() as nursery:
                for _ in range(THREADS):
                    nursery.start_soon(opened, node)

    try:
        trio.run(abandon)
        answer = "soon"
        assert trio.run(content, node) == b"soon"
    finally:
        go.set()


async def test_what_vanishes_is_gone_for_programs_and_a_held_directory_stays_usable() -> None:
    below = {"x": "1"}
    inner = directory(lambda: below)
    top: dict[str, Node | str] = {"d": inner, "f": "text"}
    code = """
os.chdir("top/d")
print(os.listdir("."), os.getcwd().endswith("w/top/d"), flush=True)
sys.stdin.readline()
print(os.listdir("."), open("x").read(), flush=True)
for path in ("../../top/f", "../../top/d"):
    try: os.stat(path)
    except OSError as error: print(error.errno)
"""
    async with mounted({"w": tree(top=directory(lambda: top))}) as mount:
        program = await mount.start("python3", "-c", "import os, sys" + code, directory="w")
        assert await program.stdout.receive_some() == b"['x'] True\n"
        top.clear()
        await program.stdin.send_all(b"\n")
        assert await program.wait() == 0
        out = b"".join([chunk async for chunk in program.stdout])
        assert out == b"['x'] 1\n2\n2\n"
        await program.close()


WRONG = [
    (lambda: 5, b"ls", "a directory's function returns names, not int"),
    (lambda: "text", b"ls", "a directory's function returns names, not str"),
    (lambda: [5], b"ls", "a directory's function returns names of str or bytes, not int"),
    (lambda: {"a/b": ""}, b"ls", "not a name"),
    (lambda: [".."], b"ls", "a listing is without"),
    (lambda: [""], b"ls", "not a name"),
    (lambda: ["x" * 256], b"ls", "not a name"),
    (lambda: {"a": 5}, b"cat", "a directory's entry is a node, str or bytes, not int"),
    (lambda: ["a"], b"cat", "returns a mapping, unless an entry function is given"),
    (lambda: 1 // 0, b"cat", "division"),
]


@pytest.mark.parametrize(("entries", "command", "text"), WRONG)
async def test_a_directory_function_that_is_wrong(entries: object, command: bytes, text: str) -> None:
    async with mounted({"w": tree(d=directory(entries))}) as mount:  # type: ignore[arg-type]
        argv = ("ls", "w/d") if command == b"ls" else ("cat", "w/d/a")
        assert b"Input/output error" in (await mount.run(*argv)).err
        assert text in str(mount.faults[0].error)
        assert mount.faults[0].path == b"/d"


async def test_names_need_be_no_utf_8() -> None:
    async with mounted({"w": tree(d=directory(lambda: {b"\xff": "bytes", "é": "text"}))}) as mount:
        code = "print(sorted(os.listdir(b'd')), open(b'd/\\xff').read(), open('d/é').read())"
        assert (await mount.python(code, directory="w")).out == b"[b'\\xc3\\xa9', b'\\xff'] bytes text\n"


async def test_a_refusal_of_a_directory_function_is_its_errno() -> None:
    async def refuse() -> dict[str, str]:
        raise refusal(errno.EACCES)

    async with mounted({"w": tree(d=directory(refuse))}) as mount:
        assert b"Permission denied" in (await mount.run("ls", "w/d")).err
        assert mount.faults == []


async def test_a_lookup_that_hangs_is_ended_by_its_limit_and_by_sigkill() -> None:
    called = trio.Event()

    async def hang(name: str) -> str:
        called.set()
        await trio.sleep_forever()
        raise AssertionError

    nodes = tree(
        limited=directory(lambda: ["a"], hang, deadline=0.2),
        hangs=directory(lambda: ["a"], hang),
        fine=link(str),
    )
    async with mounted({"w": nodes}) as mount:
        assert b"timed out" in (await mount.run("cat", "w/limited/a")).err
        called = trio.Event()
        program = await mount.start("cat", "w/hangs/a")
        await called.wait()
        await mount.run("kill", "-KILL", str(program.pid))
        with trio.fail_after(20):
            assert await program.wait() == -9
        await program.close()


# --- a link with a computed target


async def test_a_link_leads_where_its_function_says_now() -> None:
    target: list[str | bytes] = ["a"]
    nodes = tree(a=synthetic.text("A"), b=synthetic.text("B"), latest=link(lambda: target[0]))
    async with mounted({"w": nodes}) as mount:
        assert (await mount.run("cat", "w/latest")).out == b"A"
        target[0] = b"b"
        assert (await mount.run("cat", "w/latest")).out == b"B"
        assert (await mount.run("readlink", "w/latest")).out == b"b\n"


@pytest.mark.parametrize("target", ["", "a\0b", "x" * 4096, 5, None])
async def test_what_cannot_be_a_target_is_eio_and_an_event(target: object) -> None:
    async with mounted({"w": tree(bad=link(lambda: target))}) as mount:  # type: ignore[arg-type,return-value]
        assert b"Input/output error" in (await mount.run("cat", "w/bad")).err
        assert [fault.operation for fault in mount.faults] == ["readlink"]


async def test_a_link_is_a_link() -> None:
    node = link(lambda: "target")
    assert isinstance(node, Symlink)
    assert await node.readlink() == b"target"
