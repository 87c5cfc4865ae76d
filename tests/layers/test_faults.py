"""Faulty and audited: what goes wrong is what the seed says, and each operation is told with its result."""

from __future__ import annotations

import errno
import os
from collections import Counter
from typing import Any

import pytest
import trio
from conformance.files import refused
from layers.tree import Tree
from mounting import mounted

from libos.fs import layers
from libos.fs.layers import Call
from libos.fs.layers.faults import Faulty


async def errors_of(tree: Tree, paths: int = 20, turns: int = 10) -> dict[tuple[str, int], str]:
    """What fails, by path and turn."""
    failed = {}
    for each in range(paths):
        path = b"%d" % each
        for turn in range(turns):
            try:
                await tree.inside.stat(path)
            except OSError as error:
                failed[path.decode(), turn] = errno.errorcode[error.errno or 0]
    return failed


async def faulty_tree(paths: int = 20, **settings: Any) -> Tree:
    tree = Tree(lambda node: layers.faulty(node, **settings))
    for each in range(paths):
        await tree.outside.put(b"%d" % each, b"0123456789" * 10)
    return tree


async def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    settings: dict[str, Any] = {"rate": 0.3, "errors": ["EIO", "ENOSPC"]}
    first = await errors_of(await faulty_tree(seed=7, **settings))
    assert first == await errors_of(await faulty_tree(seed=7, **settings))
    assert first != await errors_of(await faulty_tree(seed=8, **settings))
    assert set(first.values()) == {"EIO", "ENOSPC"}
    assert 30 <= len(first) <= 90  # of 200, at a rate of 0.3: far outside 6 deviations otherwise


async def test_what_others_do_meanwhile_changes_nothing() -> None:
    alone = await errors_of(await faulty_tree(seed=1, rate=0.5), paths=1)
    tree = await faulty_tree(seed=1, rate=0.5)
    await errors_of(tree, paths=0)
    for each in range(1, 20):
        with pytest.raises(OSError):
            while True:
                await tree.inside.stat(b"%d" % each)
    assert await errors_of(tree, paths=1) == alone


async def test_what_fails_has_done_nothing() -> None:
    tree = await faulty_tree(paths=0, rate=1, errors=[errno.ENOSPC])
    with refused(errno.ENOSPC):
        await tree.inside.put(b"a", b"text")
    with refused(errno.ENOSPC):
        await tree.inside.mkdir(b"d")
    assert await tree.outside.listdir(b"") == []


async def test_only_what_matches_is_touched() -> None:
    tree = await faulty_tree(paths=2, rate=1, patterns=["1"])
    await tree.inside.stat(b"0")
    await tree.inside.listdir(b"")
    with refused(errno.EIO):
        await tree.inside.stat(b"1")


async def test_short_reads_give_a_part_and_a_program_that_reads_on_gets_all() -> None:
    tree = await faulty_tree(paths=1, short=0.5)
    fd = await tree.inside.open(b"0", os.O_RDONLY)
    lengths = [len(await tree.inside.pread(fd, 100, 0)) for _ in range(40)]
    assert 8 < sum(length == 100 for length in lengths) < 32
    assert all(0 < length <= 100 for length in lengths)
    assert await tree.inside.get(b"0") == b"0123456789" * 10


async def test_every_operation_waits_the_delay_but_no_lookup(autojump_clock: trio.abc.Clock) -> None:
    tree = await faulty_tree(paths=1, delay=2.5)
    began = trio.current_time()
    node = await tree.root.walk(b"0")
    assert node.known() is None
    assert trio.current_time() == began
    await node.stat()
    assert trio.current_time() - began == 2.5


READING = """
errors, lengths = [], []
def tried(work):
    while True:
        try:
            return work()
        except OSError as error:
            errors.append(errno.errorcode[error.errno])
fd = tried(lambda: os.open("0", os.O_RDONLY))
before = len(errors)
for turn in range(60):
    lengths.append(len(tried(lambda: os.pread(fd, 100, 0))))
print(sorted(set(errors)), len(errors) - before > 5, min(lengths) < 100, max(lengths) == 100)
"""


async def test_a_program_meets_each_fault_whatever_the_kernel_has_read() -> None:
    faults: dict[str, Any] = {"rate": 0.3, "short": 0.3, "errors": ["ENOSPC", "EIO"], "seed": 5}
    tree = await faulty_tree(paths=1, patterns=["0"], **faults)
    async with mounted({"w": tree.root}) as mount:
        done = await mount.python(READING, directory="w")
        assert done.out == b"['EIO', 'ENOSPC'] True True True\n", done
        assert mount.faults == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 1.5}, "from 0 to 1"),
        ({"short": -0.1}, "from 0 to 1"),
        ({"delay": -1}, "delay is 0 or more"),
        ({"errors": ["EWRONG"]}, "no errno"),
        ({"errors": [9999]}, "no errno"),
        ({"errors": ["errorcode"]}, "no errno"),
        ({"errors": []}, "at least one"),
        ({"patterns": [""]}, "pattern"),
    ],
)
def test_settings_that_make_no_sense_are_errors(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faulty(**settings)  # type: ignore[arg-type]


# --- audited


class Audit(Tree):
    def __init__(self, *more: object) -> None:
        self.told: list[tuple[str, bytes, int, int]] = []
        super().__init__(*more, lambda node: layers.audited(node, self._tell))  # type: ignore[arg-type]

    def _tell(self, call: Call, error: int, size: int) -> None:
        self.told.append((call.operation, call.path, error, size))


async def test_each_operation_is_told_with_its_result() -> None:
    tree = Audit(lambda node: layers.hide(node, ["x"]))
    await tree.inside.mkdir(b"d")
    await tree.inside.put(b"d/a", b"text")
    await tree.inside.get(b"d/a")
    with refused(errno.ENOENT):
        await tree.inside.unlink(b"x")
    with refused(errno.ENOENT):
        await tree.inside.rename(b"d/b", b"c", 0)
    told = [each for each in tree.told if each[0] not in ("walk", "stat")]
    assert told == [
        ("mkdir", b"d", 0, 0),
        ("create", b"d/a", 0, 0),
        ("write", b"d/a", 0, 4),
        ("open", b"d/a", 0, 0),
        ("read", b"d/a", 0, 4),
        ("read", b"d/a", 0, 0),
        ("remove", b"x", errno.ENOENT, 0),
        ("rename", b"d/b", errno.ENOENT, 0),
    ]


async def test_each_use_of_a_program_is_told_although_the_kernel_could_answer() -> None:
    tree = Audit()
    await tree.outside.put(b"a", b"text")
    async with mounted({"w": tree.root}) as mount:
        done = await mount.python("for _ in range(5): os.stat('a'); open('a').read()", directory="w")
        assert done.status == 0, done.err
    counts = Counter(operation for operation, path, error, _ in tree.told if path == b"a" and not error)
    assert counts["open"] == 5 and counts["read"] >= 5 and counts["walk"] >= 5 and counts["stat"] >= 5


async def test_what_is_cancelled_is_told_with_eintr() -> None:
    tree = Audit(lambda node: layers.faulty(node, delay=1000))
    with trio.move_on_after(0):
        await tree.inside.listdir(b"")
    assert tree.told == [("readdir", b"", errno.EINTR, 0)]
