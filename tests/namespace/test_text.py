"""What is printed is read back: random namespaces of every kind of source, with unions, binds and layers."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libos.namespace import (
    AppendOnly,
    Ask,
    Audited,
    BoundSource,
    BytesSource,
    ChannelSource,
    Counted,
    Faulty,
    Hide,
    HostSource,
    Labelled,
    Layer,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    Only,
    Order,
    Quota,
    Source,
    TextSource,
    Typed,
    WorldSource,
)
from libos.namespace.building import Building, view
from libos.namespace.errors import GrammarError, NamespaceError
from libos.namespace.layer_text import layer_words, parse_layer
from libos.namespace.operations import Place
from libos.namespace.reading import read

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=4).filter(
    lambda name: name not in (".", "..")
)
ANY_PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
FEW_PATHS = st.sampled_from(["/a", "/a/b", "/b", "/c d", "/it's"])
PATHS = st.one_of(FEW_PATHS, FEW_PATHS, ANY_PATHS)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PATTERNS = st.lists(TEXT, min_size=1, max_size=3).map(tuple)
NUMBERS = st.none() | st.integers(0, 1 << 60)
SECONDS = st.floats(0, 1e6, allow_nan=False)
SHARES = st.floats(0, 1)
LAYERS = st.one_of(
    st.builds(Hide, PATTERNS),
    st.builds(Only, PATTERNS),
    st.just(AppendOnly()),
    st.just(Audited()),
    st.builds(Counted, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.builds(Quota, NUMBERS, NUMBERS),
    st.builds(Ask, SECONDS),
    st.builds(Typed, st.sampled_from(["data", "a.b-c"])),
    st.builds(Labelled, st.sampled_from(["low", "high:a", "high:a,b"])),
    st.builds(
        Faulty,
        st.integers(),
        SHARES,
        st.lists(st.sampled_from(["EIO", "ENOSPC"]), min_size=1).map(tuple),
        SHARES,
        SECONDS,
        st.lists(TEXT).map(tuple),
    ),
)
MODES = st.sampled_from([Mode.READ_ONLY, Mode.READ_WRITE])
ORDERS = st.sampled_from([Order.REPLACE, Order.REPLACE, Order.BEFORE, Order.AFTER])
LIMITS = st.none() | st.integers(0, 1 << 40)
CHANNELS = st.builds(
    ChannelSource,
    st.none() | ANY_PATHS,
    LIMITS,
    LIMITS,
    LIMITS,
    LIMITS,
    st.booleans(),
    st.booleans(),
    st.none() | st.sampled_from(["input", "log_2"]),
)
SOURCES = st.one_of(
    st.tuples(st.builds(HostSource, ANY_PATHS), st.sampled_from(Mode)),
    st.tuples(st.builds(BoundSource, PATHS), MODES),
    st.tuples(st.builds(MemorySource, st.integers(1, 1 << 40)), st.just(Mode.READ_WRITE)),
    st.tuples(st.builds(TextSource, TEXT), st.just(Mode.READ_ONLY)),
    st.tuples(CHANNELS, MODES),
    st.tuples(st.builds(BytesSource, st.binary(max_size=20)), st.just(Mode.READ_ONLY)),
    st.tuples(st.sampled_from([WorldSource("hosts"), WorldSource("resolv.conf")]), st.just(Mode.READ_ONLY)),
)
STACKS = st.lists(LAYERS, max_size=2).map(tuple)


def made(
    at: str,
    source: tuple[Source, Mode],
    order: Order,
    optional: bool,
    layers: tuple[Layer, ...],
    revocable: bool,
    replaceable: bool,
    creatable: bool,
) -> Mount:
    """A mount; nothing can be created in what is read-only, so that says nothing."""
    return Mount(
        at,
        source[0],
        source[1],
        optional,
        order,
        layers,
        revocable,
        replaceable=replaceable,
        creatable=creatable or source[1] is Mode.READ_ONLY,
    )


FLAGS = st.booleans()
MOUNTS = st.builds(made, PATHS, SOURCES, ORDERS, FLAGS, STACKS, FLAGS, FLAGS, FLAGS)


def test_a_namespace_prints_and_is_read_back() -> None:
    text = """bind '#host/usr' /usr
layer /usr hide **/.env *.pem
layer /usr count bytes_read=1000
layer /usr revocable
bind -b '#host/opt/bin' /usr/bin
mount -c '#memory' /tmp 1000000
layer /tmp quota files=5
bind -ac /tmp /usr/bin
mount '#text' /motd 'it''s\\n'
bind -q /usr/bin /bin
cd /tmp
"""
    building = read(text)
    assert building.namespace().text(building.directory) == text


@given(st.lists(MOUNTS, max_size=6))
def test_the_text_of_any_namespace_gives_the_same_view(mounts: list[Mount]) -> None:
    building = Building()
    for mount in mounts:
        try:
            building.apply(Place(mount))
        except NamespaceError:
            continue
    namespace = building.namespace()
    again = read(namespace.text())
    assert view(again.table) == view(building.table)
    assert again.namespace() == namespace


@given(st.lists(MOUNTS.filter(lambda mount: not isinstance(mount.source, BoundSource)), max_size=5))
def test_mounts_at_places_of_their_own_are_read_back_as_they_are(mounts: list[Mount]) -> None:
    assume(len({mount.at.split("/")[1] for mount in mounts}) == len(mounts))
    assume(all(isinstance(each.source, HostSource) or each.order is Order.REPLACE for each in mounts))
    namespace = Namespace(tuple(mounts))
    assert read(namespace.text()).namespace() == namespace


@given(LAYERS)
def test_a_layer_is_read_back(layer: Layer) -> None:
    assert parse_layer(layer_words(layer)) == layer


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("hide", "hide takes at least one pattern"),
        ("quota size=x", 'quota: "x" is no whole number'),
        ("quota size=-1", "no whole number"),
        ("quota bytes=1", 'quota takes size=…, files=…, and "bytes=1" is none of these'),
        ("quota 7", "is none of these"),
        ("quota size=1 size=2", "quota has size= twice"),
        ("audit loud", 'audit takes nothing, and "loud" is none of these'),
        ("ask timeout=never", "ask: "),
        ("ask timeout=inf", "no number of seconds"),
        ("fault rate=2", "no share"),
        ("fault seed=x", "fault: "),
    ],
)
def test_what_is_no_layer(words: str, text: str) -> None:
    with pytest.raises(GrammarError, match=text):
        parse_layer(words.split())


def test_what_a_layer_does_not_say_is_as_in_a_manifest() -> None:
    assert parse_layer(["ask"]) == Ask()
    assert parse_layer(["fault", "rate=0.5"]) == Faulty(rate=0.5)
    assert parse_layer(["revocable"]) == "revocable"
