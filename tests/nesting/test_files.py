"""Which mounts of a world may be mounted below it, by values."""

from __future__ import annotations

from typing import Any, cast

import pytest

from libos.branch import Branch
from libos.fs.node import Node
from libos.grants import Grant
from libos.namespace import (
    ChannelSource,
    Counted,
    FunctionSource,
    Hide,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    NodeSource,
    Order,
    TextSource,
)
from libos.nesting.files import matched
from libos.nesting.holding import Held, Holding
from libos.plan import Plan

RO, RW, COPY = Mode.READ_ONLY, Mode.READ_WRITE, Mode.COPY_ON_WRITE
GRANT = cast(Grant, object())
TEXT = Mount("/motd", TextSource("hello"))


def held(at: str, path: str, mode: Mode = RO, *, bound: bool = True, **keys: Any) -> Held:
    return Held(Mount(at, HostSource(path), mode, **keys), path, bound, GRANT)


def holding(*mounts: Held, root: bool = False) -> Holding:
    return Holding("build", cast(Plan, None), mounts, (), Branch("build"), root)


def why(wanted: Held, *above: Held, root: bool = False) -> str:
    """Why it is not handed on, or "" where it is."""
    pairs, problems = matched([wanted], holding(*above, root=root))
    assert len(pairs) + len(problems) == 1
    return "".join(problems)


def test_the_same_and_a_part_of_it_are_handed_on() -> None:
    assert why(held("/w", "/home/p"), held("/work", "/home/p")) == ""
    assert why(held("/w", "/home/p/sub/x"), held("/work", "/home/p")) == ""
    assert why(held("/w", "/home/p"), held("/", "/")) == ""


@pytest.mark.parametrize("path", ["/", "/home", "/home/pp", "/home/q", "/etc"])
def test_what_lies_beside_or_above_is_not(path: str) -> None:
    assert 'is not held by "build"' in why(held("/w", path), held("/work", "/home/p"))


@pytest.mark.parametrize("there, wanted, handed", [
    (RO, RO, True), (RO, COPY, True), (RO, RW, False),
    (RW, RO, True), (RW, RW, True), (RW, COPY, True),
    (COPY, RO, True), (COPY, COPY, True), (COPY, RW, False),
])  # fmt: skip
def test_read_write_comes_of_read_write_alone(there: Mode, wanted: Mode, handed: bool) -> None:
    assert (why(held("/w", "/p", wanted), held("/work", "/p", there)) == "") is handed


def test_what_another_mount_covers_is_not_shown() -> None:
    work, mask = held("/work", "/p"), Held(Mount("/work/secret", MemorySource(1)), None, False, GRANT)
    assert "mounted inside" in why(held("/w", "/p"), work, mask)
    assert "is covered by" in why(held("/w", "/p/secret"), work, mask)
    assert "is covered by" in why(held("/w", "/p/secret/x"), work, mask)
    assert why(held("/w", "/p/other"), work, mask) == ""
    again = held("/work", "/q")
    assert why(held("/w", "/p"), work, again) != ""


def test_a_mount_that_comes_first_covers_nothing() -> None:
    mask = Held(Mount("/work/secret", MemorySource(1)), None, False, GRANT)
    assert "inside" in why(held("/w", "/p"), mask, held("/work", "/p"))  # as if it covered: more is refused


def test_layers_come_first_and_of_the_whole_alone() -> None:
    hidden = held("/work", "/p", bound=False, layers=(Hide(("*.pem",)),))
    assert "layers" in why(held("/w", "/p"), hidden)
    assert "layers" in why(held("/w", "/p", layers=(Hide(("*.key",)), Hide(("*.pem",)))), hidden)
    assert why(held("/w", "/p", layers=(Hide(("*.pem",)), Hide(("x",)))), hidden) == ""
    assert "layers" in why(held("/w", "/p/sub", layers=(Hide(("*.pem",)),)), hidden)


def test_what_is_counted_cannot_be_had_twice() -> None:
    counted = held("/work", "/p", bound=False, layers=(Counted(reads=3),))
    assert "counted" in why(held("/w", "/p", layers=(Counted(reads=3),)), counted)


def test_what_the_manifest_itself_says_needs_nobody() -> None:
    assert matched([Held(TEXT, None, False)], holding()) == ([], [])


def test_functions_and_channels() -> None:
    def now() -> str:
        return ""

    said = Held(Mount("/now", FunctionSource(now)), None, False, GRANT)
    assert why(Held(Mount("/x", FunctionSource(now)), None, False), said) == ""
    assert "is not held" in why(Held(Mount("/x", FunctionSource(str)), None, False), said)
    node = Held(Mount("/n", NodeSource(cast(Node, object()))), None, False, GRANT)
    assert "decides itself" in why(node, node)  # a grant that is read-only by now has that in its layers
    channel = Held(Mount("/c", ChannelSource("/p")), None, False, GRANT)
    assert "channel" in why(channel, channel)


def test_unions_are_not_handed_on() -> None:
    first, second = held("/work", "/p"), held("/work", "/q", order=Order.AFTER)
    assert "union" in why(held("/w", "/p"), first, second)
    assert "union" in why(held("/w", "/p", order=Order.AFTER), held("/work", "/p"))


def test_of_roots_worlds_a_part_is_a_plain_mount_of_a_plain_mount() -> None:
    work, copy = held("/work", "/p", RW), held("/w", "/p/sub", COPY, bound=False)
    assert why(copy, work) == ""
    assert "root's worlds" in why(copy, work, root=True)
    assert why(held("/w", "/p/sub"), work, root=True) == ""
    inner = held("/inner", "/p/sub", bound=False)
    assert "can change" in why(held("/w", "/p/sub", COPY, bound=False), work, inner, root=True)
    assert why(held("/w", "/p/sub", COPY, bound=False), inner, root=True) == ""
