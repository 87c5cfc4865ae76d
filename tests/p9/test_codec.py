"""The codec: what was encoded is decoded, and any other bytes are malformed and nothing worse."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.fs.p9.codec import HEADER, WALK_MAX, MalformedError, decode, encode, entries, entry, is_name
from libos.fs.p9.messages import FIELDS, RREAD, TVERSION, TWALK, VERSION, Message, Qid

NAMES = st.binary(min_size=1, max_size=255).filter(is_name)
QIDS = st.builds(Qid, st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 2**64 - 1))
BY_LETTER: dict[str, st.SearchStrategy[object]] = {
    "B": st.integers(0, 0xFF),
    "H": st.integers(0, 0xFFFF),
    "I": st.integers(0, 0xFFFFFFFF),
    "Q": st.integers(0, 2**64 - 1),
    "s": st.binary(max_size=300).map(lambda text: text.replace(b"\0", b"")),
    "n": NAMES,
    "q": QIDS,
    "D": st.binary(max_size=300),
    "N": st.lists(NAMES, max_size=WALK_MAX).map(tuple),
    "W": st.lists(QIDS, max_size=WALK_MAX).map(tuple),
}
TAGS = st.integers(0, 0xFFFF)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    kind = draw(st.sampled_from(sorted(FIELDS)))
    return Message(kind, tuple(draw(BY_LETTER[letter]) for letter in FIELDS[kind]))


@given(TAGS, messages())
def test_a_message_comes_back_as_it_was(tag: int, message: Message) -> None:
    assert decode(encode(tag, message)) == (tag, message)


@given(TAGS, messages(), st.data())
def test_a_frame_cut_short_or_with_more_is_malformed(tag: int, message: Message, data: st.DataObject) -> None:
    frame = encode(tag, message)
    short = frame[: data.draw(st.integers(0, len(frame) - 1))]
    for lie in (short, frame + b"x"):
        with pytest.raises(MalformedError):
            decode(lie)
        if len(lie) >= HEADER:
            with pytest.raises(MalformedError):
                decode(struct.pack("<I", len(lie)) + lie[4:])


@given(st.sampled_from(sorted(FIELDS)), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(kind: int, body: bytes) -> None:
    frame = struct.pack("<IBH", HEADER + len(body), kind, 1) + body
    with contextlib.suppress(MalformedError):
        assert encode(*decode(frame)) == frame
    with contextlib.suppress(MalformedError):
        assert b"".join(entry(*each) for each in entries(body)) == body


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0", b"x" * 256])
def test_a_walk_by_what_is_no_name_is_malformed(name: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(encode(1, Message(TWALK, (0, 1, (b"a", name)))))


def test_bounds() -> None:
    with pytest.raises(MalformedError, match="17 names"):
        decode(encode(1, Message(TWALK, (0, 1, (b"a",) * 17))))
    with pytest.raises(MalformedError, match="4294967295 bytes"):
        decode(struct.pack("<IBHI", 11, RREAD, 1, 0xFFFFFFFF))
    # As it is on the wire: version(5).
    wire = b"\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\0" + VERSION
    assert encode(0xFFFF, Message(TVERSION, (8192, VERSION))) == wire
