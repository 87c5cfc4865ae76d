"""Every case of the conformance table on layered trees: a neutral layer changes nothing.

Each layer in a setting that must not show, all of them together, and each layer that other layers are under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conformance.cases import CASES, KERNEL_CASES, SEEDED_CASES, Case, seed, seeded
from conformance.folders import in_a_folder
from conformance.subjects import Make, MakeHere, Subject, called, here, host_tree, in_memory, served

from libos.fs import layers
from libos.fs.layers.asking import Question
from libos.fs.node import Directory, Node

# More than the largest file that any case makes.
HUGE = 1 << 70


def yes(question: Question) -> None:
    """Answers at once."""
    question.give("always")


def all_of_them(node: Node) -> Node:
    for each in LAYERS.values():
        node = each(node)
    return node


Lay = Callable[[Node], Node]
LAYERS: dict[str, Lay] = {
    "revocable": layers.revocable,
    "hide": lambda node: layers.hide(node, ["/nothing/like/*.this", "or-this/"]),
    "only": lambda node: layers.only(node, ["*", "/some/where"]),
    "quota": lambda node: layers.quota(node, size=HUGE, files=1 << 30),
    "audited": lambda node: layers.audited(node, lambda call, error, size: None),
    "labelled": lambda node: layers.labelled(node, lambda call, rule: None, reads=True, writes=True),
    "ask": lambda node: layers.ask(node, yes),
    "faulty": lambda node: layers.faulty(node, seed=1, rate=0, delay=0),
}
# What is not kept in the kernel's pages cannot be mapped shared: its cases without those.
DIRECT: dict[str, Lay] = {
    "counted": lambda node: layers.counted(node, bytes_read=HUGE, bytes_written=HUGE, reads=HUGE, writes=HUGE)
}
TREES: dict[str, Make] = {"memory": in_memory, "host": host_tree}


def over(make: Make, lay: Lay) -> Make:
    """The tree with layers over it."""

    @contextmanager
    def layered() -> Iterator[Directory]:
        with make() as tree:
            node = lay(tree)
            assert isinstance(node, Directory)
            yield node

    return layered


def subjects(how: Callable[[MakeHere], Subject], lays: dict[str, Lay]) -> list[object]:
    return [
        pytest.param(how(here(over(make, lay))), id=f"{name} over {tree}")
        for name, lay in lays.items()
        for tree, make in TREES.items()
    ]


WHOLE = LAYERS | {"all": all_of_them}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("subject", subjects(called, WHOLE | DIRECT))
async def test_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await case(files)


@pytest.mark.parametrize("case", SEEDED_CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("subject", subjects(called, WHOLE | DIRECT))
async def test_seeded_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await seed(files)
        await case(files)


@pytest.mark.parametrize("subject", subjects(served, WHOLE))
async def test_served_cases(subject: Subject) -> None:
    async with subject() as files:
        await files.mkdir(b"first")
        await files.begin(b"first")
        for case in (*CASES, *KERNEL_CASES, *SEEDED_CASES):
            await in_a_folder(files, case)


@pytest.mark.parametrize("subject", subjects(served, DIRECT))
async def test_served_cases_without_mappings(subject: Subject) -> None:
    async with subject() as files:
        await files.mkdir(b"first")
        await files.begin(b"first")
        for case in (*CASES, *SEEDED_CASES):
            if case is seeded.a_mapping_of_an_old_file_sees_what_is_written_later:
                continue
            await in_a_folder(files, case)
