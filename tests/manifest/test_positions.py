"""Places of keys and values in TOML texts."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libos.manifest.positions import Path, Positions

TEXT = """\
# a comment with [brackets] and "quotes"
libos = 1
title = \"\"\"first
 [[not.a.table]] \\\"\"\" still\"\"\"\"

[app]
environment.LANG = "C"   # dotted
"quoted key" = 'it is # no comment'
command = [
  "a", # one
  "b ] c",
]
inline = { x = 1, "y z" = [ { deep = true } ] }

[[mount]]
at = "/a"

[[ mount ]]
at = "/b"
  [mount.sub]
  key = 1979-05-27T07:32:00Z

[[mount.list]]
n = 1
[[mount.list]]
n = +99
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("libos",), (2, 1), (2, 9)),
        (("title",), (3, 1), (3, 9)),
        (("app",), (6, 2), (6, 1)),
        (("app", "environment", "LANG"), (7, 13), (7, 20)),
        (("app", "quoted key"), (8, 1), (8, 16)),
        (("app", "command"), (9, 1), (9, 11)),
        (("app", "command", 1), (11, 3), (11, 3)),
        (("app", "inline", "x"), (13, 12), (13, 16)),
        (("app", "inline", "y z", 0, "deep"), (13, 31), (13, 38)),
        (("mount", 0), (15, 1), (15, 1)),
        (("mount", 0, "at"), (16, 1), (16, 6)),
        (("mount", 1, "at"), (19, 1), (19, 6)),
        (("mount", 1, "sub", "key"), (21, 3), (21, 9)),
        (("mount", 1, "list", 0, "n"), (24, 1), (24, 5)),
        (("mount", 1, "list", 1, "n"), (26, 1), (26, 5)),
    ],
)
def test_a_path_has_the_place_where_it_is_written(
    path: Path, key: tuple[int, int], value: tuple[int, int]
) -> None:
    positions = Positions(TEXT)
    assert (positions.key(path), positions.value(path)) == (key, value)


def test_a_path_that_is_not_written_has_the_place_of_its_parent() -> None:
    assert Positions(TEXT).value(("mount", 1, "sub", "absent", 3)) == (20, 3)
    assert Positions("").value(("absent",)) == (1, 1)


def test_columns_are_characters_and_carriage_returns_are_none() -> None:
    positions = Positions('a = "é"\r\nb = {ü = 1, "c" = 2}\r\n'.replace("ü", "u"))
    assert positions.key(("b", "c")) == (2, 13)
    assert Positions('x = ["é", 2]').value(("x", 1)) == (1, 11)


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**62), 2**62), st.text(st.characters(codec="utf-8"), max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)


def _string(text: str) -> str:
    escaped = "".join(
        f"\\U{ord(char):08x}" if ord(char) < 32 or ord(char) == 127 or char in '"\\' else char
        for char in text
    )
    return f'"{escaped}"'


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return "[ " + " , ".join(map(_written, value)) + "]"
    return "{" + ", ".join(f"{_string(key)} = {_written(item)}" for key, item in value.items()) + " }"


def _paths(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    found = [(path, value)] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _paths(item, (*path, key))
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(TABLES, min_size=1, max_size=3), TABLES)
def test_each_value_of_any_document_is_found_where_it_stands(tables: list[Any], top: dict[str, Any]) -> None:
    top.pop("array", None)
    lines = [f"{_string(key)} = {_written(value)}" for key, value in top.items()]
    for table in tables:
        lines += ["[[array]] # x", *(f"{_string(key)} =\t{_written(value)}" for key, value in table.items())]
    text = "\n".join(lines)
    data = tomllib.loads(text)
    positions = Positions(text)
    for path, value in _paths(data):
        line, column = positions.value(path)
        rest = "\n".join([text.split("\n")[line - 1][column - 1 :]])
        header = path in {("array",), *(("array", index) for index in range(len(tables)))}
        assert rest.startswith("[[array]]" if header else _written(value)), (path, line, column)
