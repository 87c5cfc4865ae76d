"""The merge rules as laws: neutral element, associativity, order."""

from __future__ import annotations

from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from libos.manifest import App, Dial, Limits, Listen, Manifest
from libos.manifest.merge import clashes, merge, names
from libos.namespace import MemorySource, Mount

PLACES = st.sampled_from(["/a", "/b", "/c"])
MOUNTS = st.builds(
    lambda at, size, origin: Mount(at, MemorySource(size), origin=origin),
    PLACES,
    st.integers(1, 2),
    st.sampled_from("xy"),
)
DIALS = st.builds(Dial, st.sampled_from(["tcp!a!1", "tcp!b!1"]))
LISTENS = st.builds(Listen, st.integers(1, 2), st.just("127.0.0.1"), st.integers(1, 2))
WORDS = st.sampled_from(["x", "y"])
MANIFESTS = st.builds(
    Manifest,
    app=st.builds(
        App,
        command=st.none() | st.just(("x",)) | st.just(("y",)),
        directory=st.none() | st.just("/"),
        environment=st.dictionaries(WORDS, WORDS).map(MappingProxyType),
        hostname=st.none() | WORDS,
        name=st.none() | WORDS,
    ),
    mounts=st.lists(MOUNTS, max_size=3).map(tuple),
    dials=st.lists(DIALS, max_size=2).map(tuple),
    listens=st.lists(LISTENS, max_size=2).map(tuple),
    limits=st.builds(Limits, st.none() | st.just(1.0)),
    removals=st.lists(st.sampled_from(["/a", "tcp!a!1", "tcp!*!1"]), max_size=2, unique=True).map(tuple),
)  # fmt: skip


@given(MANIFESTS, MANIFESTS, MANIFESTS)
def test_merging_is_associative(one: Manifest, two: Manifest, three: Manifest) -> None:
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


@given(MANIFESTS)
def test_an_empty_manifest_is_neutral(manifest: Manifest) -> None:
    assert merge(Manifest(), manifest) == manifest == merge(manifest, Manifest())


@given(MANIFESTS, MANIFESTS)
def test_what_is_removed_is_gone_unless_the_upper_one_brings_it(under: Manifest, over: Manifest) -> None:
    merged = merge(under, over)
    assert not (set(over.removals) & set(names(merged))) - set(names(over))


@given(MANIFESTS, MANIFESTS)
def test_over_is_merge_read_from_above(under: Manifest, over: Manifest) -> None:
    assert over.over(under) == merge(under, over)


def test_an_entry_said_twice_keeps_its_first_place_and_origin() -> None:
    under = Manifest(mounts=(Mount("/a", MemorySource(1), origin="low"), Mount("/b", MemorySource(1))))
    over = Manifest(mounts=(Mount("/a", MemorySource(1), origin="high"),))
    assert [(mount.at, mount.origin) for mount in merge(under, over).mounts] == [("/a", "low"), ("/b", "")]


def test_clashes_pair_the_first_entry_with_each_later_one() -> None:
    first, second, third = (Mount("/a", MemorySource(size)) for size in (1, 2, 3))
    other = Mount("/b", MemorySource(1))
    found = clashes([first, other, second, third], lambda mount: mount.at)
    assert found == [(first, second), (first, third)]
