"""Namespaces: order, what covers what, and the text that says them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.namespace import (
    BytesSource,
    FunctionSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    NodeSource,
    TextSource,
    WorldSource,
    depth,
    is_at_or_below,
    is_clean,
)
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


def answer() -> str:
    return ""


NODE: Any = Answer()


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (Mount("/usr", HostSource("/usr")), "bind /usr /usr"),
        (Mount("/w", HostSource("/home/a b"), Mode.READ_WRITE), "bind -c '/home/a b' /w"),
        (Mount("/w", HostSource("/p"), Mode.COPY_ON_WRITE), "mount -c '#cow' /w /p"),
        (Mount("/x", HostSource("/x"), optional=True), "bind -q /x /x"),
        (Mount("/x", HostSource("/x"), Mode.READ_WRITE, optional=True), "bind -cq /x /x"),
        (mount("/tmp", 64 << 20), "mount -c '#memory' /tmp 67108864"),
        (Mount("/t", TextSource("it's\nso\\n\r\0")), r"mount '#text' /t 'it''s\nso\\n\r\0'"),
        (Mount("/t", TextSource("")), "mount '#text' /t ''"),
        (Mount("/b", BytesSource(b"\0\xff")), "mount '#bytes' /b AP8="),
        (Mount("/etc/hosts", WorldSource("hosts")), "mount '#world' /etc/hosts hosts"),
        (Mount("/n", NodeSource(NODE), Mode.READ_WRITE), "mount -c '#node' /n Answer"),
        (Mount("/f", FunctionSource(answer)), "mount '#function' /f answer"),
    ],
)
def test_each_kind_of_mount_has_its_line(one: Mount, line: str) -> None:
    text = Namespace((one,)).text()
    assert text == line + "\n"
    if isinstance(one.source, (NodeSource, FunctionSource)):
        with pytest.raises(ValueError, match=r"line 1: .* cannot be made from text"):
            parse(text)
    else:
        assert parse(text).mounts == (one,)


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PATHS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6).filter(
        lambda name: name not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map(lambda names: "/" + "/".join(names))
MOUNTS = st.one_of(
    st.builds(Mount, PATHS, st.builds(HostSource, PATHS), st.sampled_from(Mode), st.booleans()),
    st.builds(Mount, PATHS, st.builds(TextSource, TEXT)),
    st.builds(Mount, PATHS, st.builds(BytesSource, st.binary(max_size=20))),
    st.builds(mount, PATHS, st.integers(1, 1 << 40)),
)


@given(st.lists(MOUNTS, max_size=5))
def test_the_text_of_a_namespace_says_the_same_namespace(mounts: list[Mount]) -> None:
    namespace = Namespace(tuple(mounts))
    text = namespace.text()
    assert text.count("\n") == len(mounts)
    assert parse(text) == namespace


def test_comments_and_blank_lines_are_skipped() -> None:
    assert parse("# bind /a /b\n\n  \t# x\n  bind\t/a   /b \r\n").mounts == (Mount("/b", HostSource("/a")),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bind /a", "line 1: write bind"),
        ("bind /a /b /c", "line 1: write bind"),
        ("\numount /a", "line 2: write bind"),
        ("bind -z /a /b", "line 1: the flag -z is not known"),
        ("bind /a 'b", "line 1: a quote is not closed"),
        ("bind /a b", 'line 1: "b" is no absolute, clean path'),
        ("bind /a /b/../c", "no absolute, clean path"),
        ("mount '#what' /a x", "the device #what is not known"),
        ("mount '#memory' /a x", "line 1: "),
        ("mount '#bytes' /a x", "line 1: "),
    ],
)
def test_what_is_no_namespace(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse(text)


@given(st.text(alphabet="bindmout -cq/a'#\\\n\t", max_size=40))
def test_any_text_parses_or_is_a_value_error(text: str) -> None:
    try:
        parse(text)
    except ValueError as wrong:
        assert str(wrong).startswith("line ")
