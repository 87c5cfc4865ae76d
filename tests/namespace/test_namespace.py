"""Namespaces: order, what covers what, and the text that says them."""

from __future__ import annotations

from typing import Any

import pytest

from libos.namespace import (
    BoundSource,
    BytesSource,
    FunctionSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    NodeSource,
    Order,
    ServiceSource,
    TextSource,
    WorldSource,
    depth,
    is_at_or_below,
    is_clean,
)
from libos.namespace.errors import AbsentError, GrammarError
from libos.namespace.text import parse


def mount(at: str, size: int = 1) -> Mount:
    return Mount(at, MemorySource(size), Mode.READ_WRITE)


def test_parents_come_first_and_equals_stay_in_their_order() -> None:
    namespace = Namespace.ordered([mount("/a/b/c"), mount("/x"), mount("/a"), mount("/a/b"), mount("/b/a")])
    assert [each.at for each in namespace] == ["/x", "/a", "/a/b", "/b/a", "/a/b/c"]
    assert len(namespace) == 5


def test_the_mount_that_covers_a_path_is_the_deepest_one() -> None:
    namespace = Namespace.ordered([mount("/a/b"), mount("/a"), mount("/ab")])
    for path, at in {"/a": "/a", "/a/x": "/a", "/a/b": "/a/b", "/a/b/c/d": "/a/b", "/ab/c": "/ab"}.items():
        found = namespace.covering(path)
        assert found is not None
        assert found.at == at
    assert namespace.covering("/abc") is None
    assert namespace.covering("/") is None


def test_the_origin_of_a_mount_takes_no_part_in_comparing() -> None:
    assert Mount("/a", HostSource("/b"), origin="x") == Mount("/a", HostSource("/b"), origin="y")
    assert Mount("/a", HostSource("/b")) != Mount("/a", TextSource("/b"))


@pytest.mark.parametrize("path", ["/", "/a", "/a/b", "/a b", "/..a", "/é"])
def test_clean_paths(path: str) -> None:
    assert is_clean(path)


@pytest.mark.parametrize("path", ["", "a", "//", "//a", "/a/", "/a//b", "/.", "/a/..", "/a/./b"])
def test_paths_that_are_not_clean(path: str) -> None:
    assert not is_clean(path)


def test_depth_and_below() -> None:
    assert [depth(path) for path in ("/", "/a", "/a/b")] == [0, 1, 2]
    assert is_at_or_below("/a/b", "/a")
    assert is_at_or_below("/a", "/")
    assert not is_at_or_below("/ab", "/a")
    assert not is_at_or_below("/a", "/a/b")


class Answer:
    """Stands for a node."""


async def answered() -> None:
    """A service."""


def answer() -> str:
    return ""


NODE: Any = Answer()


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (Mount("/usr", HostSource("/usr")), "bind '#host/usr' /usr"),
        (Mount("/w", HostSource("/home/a b"), Mode.READ_WRITE), "bind -c '#host/home/a b' /w"),
        (Mount("/w", HostSource("/p"), Mode.COPY_ON_WRITE), "mount -c '#cow' /w /p"),
        (Mount("/x", HostSource("/x"), optional=True), "bind -q '#host/x' /x"),
        (Mount("/x", HostSource("/x"), Mode.READ_WRITE, optional=True), "bind -cq '#host/x' /x"),
        (Mount("/x", BoundSource("/a b")), "bind '/a b' /x"),
        (Mount("/x", HostSource("/x"), Mode.READ_WRITE, creatable=False), "bind -w '#host/x' /x"),
        (Mount("/x", HostSource("/x"), order=Order.BEFORE), "bind -b '#host/x' /x"),
        (Mount("/x", HostSource("/x"), Mode.READ_WRITE, order=Order.AFTER), "bind -ac '#host/x' /x"),
        (mount("/tmp", 64 << 20), "mount -c '#memory' /tmp 67108864"),
        (Mount("/t", TextSource("it's\nso\\n\r\0")), r"mount '#text' /t 'it''s\nso\\n\r\0'"),
        (Mount("/t", TextSource("")), "mount '#text' /t ''"),
        (Mount("/b", BytesSource(b"\0\xff")), "mount '#bytes' /b AP8="),
        (Mount("/etc/hosts", WorldSource("hosts")), "mount '#world' /etc/hosts hosts"),
        (Mount("/n", NodeSource(NODE), Mode.READ_WRITE), "mount -c '#node' /n Answer"),
        (Mount("/f", FunctionSource(answer)), "mount '#function' /f answer"),
        (Mount("/s", ServiceSource("unix!/run/x")), "mount '#service' /s unix!/run/x"),
        (Mount("/s", ServiceSource("tcp!db.example!5432")), "mount '#service' /s tcp!db.example!5432"),
        (Mount("/s", ServiceSource(answered)), "mount '#function' /s answered"),
    ],
)
def test_each_kind_of_mount_has_its_line(one: Mount, line: str) -> None:
    text = Namespace((one,)).text()
    assert text == line + "\n"
    if "'#function'" in line or isinstance(one.source, NodeSource):
        with pytest.raises(GrammarError, match=r"line 1: .* cannot be made from text"):
            parse(text)
    elif isinstance(one.source, BoundSource):
        with pytest.raises(AbsentError, match='line 1: "/a b" is not in the namespace'):
            parse(text)
    else:
        assert parse(text).mounts == (one,)


def test_what_is_bound_comes_after_all_that_its_source_shows() -> None:
    bound = Mount("/b", BoundSource("/usr/x"))
    deep, top, other = mount("/usr/x/y"), mount("/usr"), mount("/z")
    namespace = Namespace.ordered([bound, deep, other, top])
    assert [each.at for each in namespace] == ["/z", "/usr", "/usr/x/y", "/b"]


def test_binds_that_wait_for_each_other_stay_in_their_order() -> None:
    ring = [Mount("/a", BoundSource("/b")), Mount("/b", BoundSource("/a"))]
    assert Namespace.ordered(ring).mounts == tuple(ring)


def test_at_one_place_what_replaces_comes_first() -> None:
    before, whole = Mount("/a", HostSource("/x"), order=Order.BEFORE), mount("/a")
    assert Namespace.ordered([before, whole]).mounts == (whole, before)
