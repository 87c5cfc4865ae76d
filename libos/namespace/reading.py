"""Reading a file of namespace(6): line by line, into a namespace that is built.

Two modes. `strict`, the default: every line that is wrong is named with its number and what was expected, and
nothing is given where one is. `compat`: what 9front does, which passes over what it cannot do and says
nothing, an absent file that `.` names included.

`.` is opened inside the namespace that is being built. namespace(6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from libos.namespace.building import Building
from libos.namespace.errors import IncludeError, NamespaceError
from libos.namespace.grammar import absolute, operation_of
from libos.namespace.model import BytesSource, TextSource
from libos.namespace.operations import Include
from libos.namespace.table import Element, Look, look_at_values
from libos.namespace.words import compat_words, strict_words

# Files that include each other: newns.c of 9front has no limit and fills its stack.
_DEEPEST = 16
# Wrong lines that are told; more would hide the first ones.
_SHOWN = 50
# Characters of one message.
_LONGEST = 500

# Gives the text of a file of an element (IncludeError, OSError).
Open = Callable[[Element], str]


class Reading(StrEnum):
    """How a file is read."""

    STRICT = "strict"
    COMPAT = "compat"


def open_values(element: Element) -> str:
    """The text of what holds its text itself. IncludeError."""
    if isinstance(element.source, TextSource) and not element.below:
        return element.source.text
    if isinstance(element.source, BytesSource) and not element.below:
        return element.source.data.decode(errors="replace")
    raise IncludeError("only a text or a file of the host can be included")


def read(
    text: str,
    *,
    mode: Reading = Reading.STRICT,
    variables: Mapping[str, str] | None = None,
    look: Look = look_at_values,
    open_text: Open = open_values,
    name: str = "",
) -> Building:
    """The namespace that a file says, from an empty one on.

    `variables` are what `$` gives; `look` tells what is where on the host, `open_text` reads what `.` names;
    `name` is the file's, for messages and origins. NamespaceError with every wrong line, strict only.
    """
    reader = _Reader(mode, variables or {}, look, open_text)
    reader.file(text, name, 0)
    if reader.problems:
        shown = reader.problems[:_SHOWN]
        if len(reader.problems) > _SHOWN:
            shown.append(f"and {len(reader.problems) - _SHOWN} more errors")
        raise reader.first("\n".join(shown))
    return reader.building


class _Reader:
    def __init__(self, mode: Reading, variables: Mapping[str, str], look: Look, open_text: Open) -> None:
        self.building = Building(look, points=mode is Reading.STRICT)
        self.problems: list[str] = []
        self.first: type[NamespaceError] = NamespaceError
        self._compat = mode is Reading.COMPAT
        self._variables = variables
        self._open = open_text

    def file(self, text: str, name: str, depth: int) -> None:
        """One file, from its first line to its last."""
        for number, content in enumerate(text.split("\n"), 1):
            line = content.strip(" \t\r")
            if line and not line.startswith("#"):
                self._line(line, name, number, depth)

    def _line(self, line: str, name: str, number: int, depth: int) -> None:
        known = len(self.problems)
        try:
            self._apply(line, f"{name}:{number}:1" if name else f"line {number}", depth)
        except NamespaceError as error:
            if self._compat:
                return
            place = f"{name}:{number}" if name else f"line {number}"
            if not known:
                self.first = type(error)
            self.problems.append(_one_line(f"{place}: {error}"))

    def _apply(self, line: str, origin: str, depth: int) -> None:
        words = (compat_words if self._compat else strict_words)(line, self._variables)
        operation = operation_of(words, compat=self._compat) if words else None
        if isinstance(operation, Include):
            self._include(operation, depth)
        elif operation is not None:
            self.building.apply(operation, origin)

    def _include(self, operation: Include, depth: int) -> None:
        if depth >= _DEEPEST:
            raise IncludeError(f'"{operation.path}": files include each other without end: remove one `.`')
        path = absolute(operation.path, self.building.directory)
        (element, *_) = self.building.table.resolve(path)
        try:
            text = self._open(element)
        except OSError as error:
            raise IncludeError(f'"{path}" cannot be read: {error.strerror}') from None
        except IncludeError as error:
            raise IncludeError(f'"{path}" cannot be read: {error}') from None
        self.file(text, path, depth + 1)


def _one_line(text: str) -> str:
    """The text without line breaks and other control characters (escaped), and cut where it is very long."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
