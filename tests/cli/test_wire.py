"""The control socket's language survives every stream of bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.control.wire import MAX_LINE, VERSION, Lines, ProtocolError, decode, encode

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text().filter(lambda key: key != "version"), _VALUES))
def test_a_message_comes_back_as_it_went(message: dict[str, object]) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line[:-1]) == {**message, "version": VERSION}


@given(st.binary())
def test_garbage_is_a_protocol_error_and_nothing_else(line: bytes) -> None:
    try:
        message = decode(line)
    except ProtocolError:
        return
    assert isinstance(message, dict)


@pytest.mark.parametrize("line", [b"", b"[]", b"1", b'{"version": 2}', b"{}", b"\xff", b"[" * 100_000])
def test_what_is_no_message_of_this_version_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


@given(st.lists(st.binary(max_size=50).filter(lambda part: b"\n" not in part)), st.integers(1, 20))
def test_lines_do_not_depend_on_how_the_bytes_arrive(parts: list[bytes], chunk: int) -> None:
    data = b"".join(part + b"\n" for part in parts)
    lines, found = Lines(), []
    for start in range(0, len(data), chunk):
        lines.feed(data[start : start + chunk])
        while (line := lines.take()) is not None:
            found.append(line)
    assert found == parts


def test_a_line_without_end_is_cut_off() -> None:
    lines = Lines()
    with pytest.raises(ProtocolError):
        for _ in range(100):
            lines.feed(b"x" * (MAX_LINE // 10))


def test_the_version_stands_in_every_message() -> None:
    assert json.loads(encode({"request": "status"}))["version"] == VERSION
