"""Ask: stat and open wait for an answer, lookups never do, and no answer gives access to another file."""

from __future__ import annotations

import errno
import os

import pytest
import trio
from conformance.files import EXCHANGE, refused
from layers.tree import Tree
from trio.testing import wait_all_tasks_blocked

from libos.fs.layers import layered
from libos.fs.layers.asking import Answer, Ask, Question
from libos.fs.node import Caller, Directory, File
from libos.unwrap import unwrapped


class Asked(Tree):
    """A tree that asks. `open` are the questions that wait, `over` those that are settled."""

    def __init__(self, timeout: float = 60.0) -> None:
        self.open: list[Question] = []
        self.over: list[tuple[bytes, str | None, str]] = []
        self.layer = Ask(self.open.append, self._closed, timeout=timeout)
        super().__init__(lambda node: layered(node, self.layer))

    def _closed(self, question: Question) -> None:
        self.open.remove(question)
        self.over.append((question.path, question.answer, question.by))

    async def get(self, path: bytes, *answers: str) -> bytes:
        """Reads a file while the questions are answered."""
        async with unwrapped(), trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, answers)
            data = await self.inside.get(path)
            nursery.cancel_scope.cancel()
        assert isinstance(data, bytes)
        return data

    async def _answer(self, answers: tuple[str, ...]) -> None:
        for answer in answers:
            await wait_all_tasks_blocked()
            self.open[0].give(answer)


async def tree_with(*paths: bytes) -> Asked:
    tree = Asked()
    for path in paths:
        await tree.outside.put(path, path)
    return tree


async def test_a_lookup_and_a_listing_never_wait() -> None:
    tree = await tree_with(b"a")
    node = await tree.root.walk(b"a")
    assert node.known() is None
    assert await tree.inside.listdir(b"") == [b"a"]
    assert tree.open == []


async def test_once_lets_one_open_pass_and_stat_until_it_is_closed() -> None:
    tree = await tree_with(b"a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tree._answer, ("once",))
        await tree.inside.stat(b"a")
    fd = await tree.inside.open(b"a", os.O_RDONLY)
    await tree.inside.stat(b"a")
    assert await tree.inside.read(fd, 9) == b"a"
    await tree.inside.close(fd)
    assert tree.over == [(b"a", "once", "caller")]
    assert await tree.get(b"a", "once") == b"a"
    assert len(tree.over) == 2


async def test_always_holds_from_then_on() -> None:
    tree = await tree_with(b"a")
    for _ in range(3):
        assert await tree.get(b"a", "always") == b"a"
    assert len(tree.over) == 1
    assert (await tree.root.walk(b"a")).known() is not None


async def test_a_refused_name_is_absent_until_it_is_said_otherwise() -> None:
    tree = await tree_with(b"a", b"b")
    with refused(errno.ENOENT):
        await tree.get(b"a", "no")
    assert await tree.inside.listdir(b"") == [b"b"]
    with refused(errno.ENOENT):
        await tree.root.walk(b"a")
    with refused(errno.EACCES):
        await tree.inside.put(b"a")
    tree.layer.decide(b"a", None)
    assert await tree.get(b"a", "once") == b"a"


async def test_no_answer_in_time_is_no(autojump_clock: trio.abc.Clock) -> None:
    tree = Asked(timeout=5)
    await tree.outside.put(b"a")
    began = trio.current_time()
    with refused(errno.ENOENT):
        await tree.inside.get(b"a")
    assert trio.current_time() - began == 5
    assert tree.over == [(b"a", "no", "timeout")]


async def test_a_question_is_withdrawn_when_nobody_waits_any_more() -> None:
    tree = await tree_with(b"a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tree.inside.get, b"a")
        await wait_all_tasks_blocked()
        question = tree.open[0]
        nursery.cancel_scope.cancel()
    assert tree.over == [(b"a", None, "gone")]
    assert not question.give("always")
    assert (await tree.root.walk(b"a")).known() is None


async def test_two_that_wait_share_a_question_and_once_is_for_one_of_them() -> None:
    tree = await tree_with(b"a")
    opened: list[int] = []

    async def open_it() -> None:
        opened.append(await tree.inside.open(b"a", os.O_RDONLY))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(open_it)
        nursery.start_soon(open_it)
        await wait_all_tasks_blocked()
        assert len(tree.open) == 1
        tree.open[0].give("once")
        await wait_all_tasks_blocked()
        assert len(opened) == 1 and len(tree.open) == 1  # the other one asks anew
        tree.open[0].give("once")
    assert len(opened) == 2


async def test_a_thousand_questions_at_once() -> None:
    tree = await tree_with(*(b"%d" % each for each in range(1000)))
    seen: list[bytes] = []

    async def read(path: bytes) -> None:
        node = await tree.root.walk(path)
        assert isinstance(node, File)
        handle = await node.open(os.O_RDONLY, Caller())
        seen.append(await handle.read(0, 9))

    async with trio.open_nursery() as nursery:
        for each in range(1000):
            nursery.start_soon(read, b"%d" % each)
        await wait_all_tasks_blocked()
        assert len(tree.open) == 1000
        for question in list(tree.open):
            question.give("once")
    assert len(seen) == 1000


async def test_moving_or_removing_what_is_not_allowed_is_eacces() -> None:
    tree = await tree_with(b"a", b"b")
    for operation, arguments in {
        "rename": (b"a", b"c", 0), "link": (b"a", b"c"), "unlink": (b"a",)
    }.items():  # fmt: skip
        with refused(errno.EACCES):
            await getattr(tree.inside, operation)(*arguments)
    tree.layer.decide(b"a", Answer.ALWAYS)
    with refused(errno.EACCES):
        await tree.inside.rename(b"a", b"b", 0)  # it would take b away
    with refused(errno.EACCES):
        await tree.inside.rename(b"a", b"b", EXCHANGE)
    assert await tree.outside.get(b"b") == b"b"


async def test_the_answer_for_one_file_never_opens_another() -> None:
    tree = await tree_with(b"good", b"evil", b"d")
    await tree.outside.mkdir(b"x")
    await tree.outside.put(b"x/f", b"allowed")
    await tree.outside.mkdir(b"y")
    await tree.outside.put(b"y/f", b"secret")
    tree.layer.decide(b"good", Answer.ALWAYS)
    tree.layer.decide(b"x/f", Answer.ALWAYS)
    await tree.inside.unlink(b"good")
    with refused(errno.EACCES):
        await tree.inside.rename(b"evil", b"good", 0)
    await tree.inside.rename(b"x", b"y", EXCHANGE)
    assert await tree.get(b"y/f") == b"allowed"
    with refused(errno.ENOENT):
        await tree.get(b"x/f", "no")
    await tree.inside.rename(b"x", b"z", 0)
    assert await tree.inside.listdir(b"z") == []  # the refusal went along


async def test_once_is_used_up_by_a_rename() -> None:
    tree = await tree_with(b"a")
    tree.layer.decide(b"a", Answer.ONCE)
    await tree.inside.rename(b"a", b"b", 0)
    assert await tree.get(b"b", "once") == b"a"
    assert len(tree.over) == 1


async def test_what_a_program_makes_is_its_own() -> None:
    tree = Asked()
    await tree.inside.put(b"a", b"mine")
    await tree.inside.mknod(b"n", 0o100644)
    await tree.inside.rename(b"a", b"b", 0)
    await tree.inside.link(b"b", b"c")
    for path in (b"b", b"c", b"n"):
        await tree.inside.get(path)
    await tree.inside.symlink(b"b", b"l")
    assert await tree.inside.readlink(b"l") == b"b"
    assert tree.over == []


async def test_a_failed_open_gives_once_back() -> None:
    tree = Asked()
    await tree.outside.put(b"a")
    tree.layer.decide(b"a", Answer.ONCE)
    node = await tree.root.walk(b"a")
    inner = await tree.inner.walk(b"a")

    async def fail(flags: int, caller: object) -> None:
        raise OSError(errno.ENFILE, "")

    assert isinstance(node, File)
    inner.open = fail  # type: ignore[attr-defined]
    with refused(errno.ENFILE):
        await node.open(os.O_RDONLY, Caller())
    del inner.open  # type: ignore[attr-defined]
    await node.open(os.O_RDONLY, Caller())


async def test_a_directory_is_not_asked_about() -> None:
    tree = Asked()
    await tree.outside.mkdir(b"d")
    node = await tree.root.walk(b"d")
    assert isinstance(node, Directory) and node.known() is not None
    await node.stat()
    assert tree.over == []


@pytest.mark.parametrize("answer", ["yes", "", "ONCE"])
async def test_what_is_no_answer_is_an_error_and_answers_nothing(answer: str) -> None:
    tree = await tree_with(b"a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tree.inside.get, b"a")
        await wait_all_tasks_blocked()
        with pytest.raises(ValueError, match="not a valid Answer"):
            tree.open[0].give(answer)
        assert tree.open[0].answer is None
        tree.open[0].give("always")


def test_the_time_for_an_answer_is_more_than_nothing() -> None:
    for timeout in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="more than 0"):
            Ask(lambda question: None, timeout=timeout)
