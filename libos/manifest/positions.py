"""Where each key and value of a TOML text stands.

tomllib gives values without their places. This scan reads a text that tomllib has accepted, so it only has
to find tokens, not to judge them: it never validates, and its results are meaningless for a text that is
not TOML.

A path is the sequence of keys and list indices that leads to a value in what tomllib returns, as
("mount", 0, "at"). `key` gives where the name is written, `value` where the value begins: for a table its
header. Lines and columns count from 1; columns are characters.
"""

from __future__ import annotations

import re
from bisect import bisect_right

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_INLINE_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'  # up to two quotes may stand before the closing three
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]*")


class Positions:
    """The places of one text. Looking up a path that is not written gives its nearest written parent."""

    def __init__(self, text: str) -> None:
        self._keys: dict[Path, int] = {}
        self._values: dict[Path, int] = {}
        self._lines = [0] + [match.end() for match in re.finditer("\n", text)]
        _Scan(text.replace("\r\n", " \n"), self._keys, self._values).document()

    def key(self, path: Path) -> tuple[int, int]:
        """Line and column of the name at the end of the path."""
        return self._place(path, self._keys)

    def value(self, path: Path) -> tuple[int, int]:
        """Line and column of the value at the path."""
        return self._place(path, self._values)

    def _place(self, path: Path, first: dict[Path, int]) -> tuple[int, int]:
        other = self._values if first is self._keys else self._keys
        while path:
            for table in (first, other):
                if path in table:
                    return self._line_column(table[path])
            path = path[:-1]
        return 1, 1

    def _line_column(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


class _Scan:
    """One pass over the text. `text` has the length of the original, so offsets are those of the original."""

    def __init__(self, text: str, keys: dict[Path, int], values: dict[Path, int]) -> None:
        self.text = text
        self.at = 0
        self.keys = keys
        self.values = values
        self.lengths: dict[Path, int] = {}  # arrays of tables: how many elements were seen

    def document(self) -> None:
        table: Path = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)

    def header(self) -> Path:
        start = self.at
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names = self.dotted()
        self.at += 2 if many else 1
        path: Path = ()
        for index, (name, offset) in enumerate(names):
            path = (*path, name)
            self.keys.setdefault(path, offset)
            self.values.setdefault(path, start)
            last = index == len(names) - 1
            if last and many:
                self.lengths[path] = self.lengths.get(path, 0) + 1
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
            self.values.setdefault(path, start)
        return path

    def pair(self, table: Path) -> None:
        path = table
        for name, offset in self.dotted():
            path = (*path, name)
            self.keys.setdefault(path, offset)
            self.values.setdefault(path, offset)  # a dotted key's table begins at its name
        self.at += 1  # "="
        self.skip(_INLINE_BLANK)
        self.value(path)

    def dotted(self) -> list[tuple[str, int]]:
        """The names of a dotted key with their offsets; stops at "=" or "]"."""
        names = []
        while True:
            self.skip(_INLINE_BLANK)
            names.append((self.name(), self.name_start))
            self.skip(_INLINE_BLANK)
            if not self.text.startswith(".", self.at):
                return names
            self.at += 1

    def name(self) -> str:
        self.name_start = self.at
        if self.text[self.at] in "\"'":
            quoted = self.token(_STRING)
            return _unquote(quoted)
        return self.token(_BARE)

    def value(self, path: Path) -> None:
        self.values[path] = self.at
        opening = self.text[self.at]
        if opening == "[":
            self.array(path)
        elif opening == "{":
            self.inline_table(path)
        else:
            self.token(_STRING if opening in "\"'" else _PLAIN)

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        self.skip(_BLANK)
        while self.text[self.at] != "]":
            self.value((*path, index))
            index += 1
            self.separator()
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        self.skip(_BLANK)
        while self.text[self.at] != "}":
            self.pair(path)
            self.separator()
        self.at += 1

    def separator(self) -> None:
        self.skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self.skip(_BLANK)

    def token(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None or match.end() == self.at:
            raise ValueError(f"no TOML token at offset {self.at}")
        self.at = match.end()
        return match[0]

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()


def _unquote(quoted: str) -> str:
    if quoted.startswith("'"):
        return quoted[1:-1]
    import tomllib  # the one judge of escapes

    name = tomllib.loads(f"name = {quoted}")["name"]
    assert isinstance(name, str)
    return name
