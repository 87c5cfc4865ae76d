"""Namespaces as text, in the grammar of Plan 9's namespace(6).

One operation a line, arguments split on blanks and quoted as rc(1) does ('it''s'); `#` begins a comment:

    bind SOURCE AT                       a host file or directory, read-only
    bind -c SOURCE AT                    the same, read-write (-c: creating is allowed)
    mount -c '#cow' AT SOURCE            a host directory, copy-on-write
    mount -c '#memory' AT BYTES          an empty directory in memory of at most this size
    mount '#text' AT TEXT                a file with this text
    mount '#bytes' AT BASE64             a file with these bytes
    mount '#node' AT NAME                what Python code answers, or '#function': text cannot recreate it
    mount '#world' AT NAME               a file that the supervisor writes: hosts, resolv.conf

The flag -q marks an optional mount, as in 9front's lib/namespace. A line break, carriage return, NUL or
backslash in an argument is written \\n, \\r, \\0 and \\\\, so that a text stays on its line. What `write`
writes, `parse` reads back, but for nodes and functions: these are errors there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from libos.namespace import (
    BytesSource,
    FunctionSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    NodeSource,
    Source,
    TextSource,
    WorldSource,
    is_clean,
)

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\0": "\\0"}
_PLAIN_ARGUMENT = re.compile(r"[^\s'#$]+")
_ARGUMENT = re.compile(r"(?:[^ \t']|'(?:[^']|'')*')+")


def write(namespace: Namespace) -> str:
    """The table, one operation a line, in order."""
    return "".join(line(mount) + "\n" for mount in namespace)


def line(mount: Mount) -> str:
    """One mount as an operation."""
    operation, *arguments = _operation(mount)
    flags = ("c" if mount.mode is not Mode.READ_ONLY else "") + ("q" if mount.optional else "")
    words = [operation, *(["-" + flags] if flags else []), *map(_quote, arguments)]
    return " ".join(words)


def _operation(mount: Mount) -> tuple[str, ...]:
    source, at = mount.source, mount.at
    if isinstance(source, HostSource):
        copied = mount.mode is Mode.COPY_ON_WRITE
        return ("mount", "#cow", at, source.path) if copied else ("bind", source.path, at)
    return ("mount", *_device(source, at))


def _device(source: Source, at: str) -> tuple[str, str, str]:
    if isinstance(source, TextSource):
        return "#text", at, source.text
    if isinstance(source, BytesSource):
        return "#bytes", at, base64.b64encode(source.data).decode()
    if isinstance(source, MemorySource):
        return "#memory", at, str(source.size)
    if isinstance(source, WorldSource):
        return "#world", at, source.name
    if isinstance(source, NodeSource):
        return "#node", at, type(source.node).__name__
    assert isinstance(source, FunctionSource)
    return "#function", at, getattr(source.function, "__qualname__", type(source.function).__name__)


def _quote(argument: str) -> str:
    for character, escape in _ESCAPES.items():
        argument = argument.replace(character, escape)
    if _PLAIN_ARGUMENT.fullmatch(argument):
        return argument
    return "'" + argument.replace("'", "''") + "'"


def parse(text: str) -> Namespace:
    """The namespace that a text of this grammar says. ValueError with the line's number and what is wrong."""
    mounts = []
    for number, content in enumerate(text.split("\n"), 1):
        stripped = content.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            try:
                mounts.append(_mount(list(_words(stripped))))
            except ValueError as wrong:
                raise ValueError(f"line {number}: {wrong}") from None
    return Namespace(tuple(mounts))


def _words(content: str) -> Iterator[str]:
    at = 0
    while at < len(content):
        match = _ARGUMENT.match(content, at)
        if match is None:
            raise ValueError("a quote is not closed: write '' for a quote inside quotes")
        yield _unquote(match[0])
        at = match.end()
        while at < len(content) and content[at] in " \t":
            at += 1


def _unquote(word: str) -> str:
    bare = re.sub(r"'((?:[^']|'')*)'", lambda match: match[1].replace("''", "'"), word)
    back = {escape: character for character, escape in _ESCAPES.items()}
    return re.sub(r"\\[\\nr0]", lambda match: back[match[0]], bare)


def _mount(words: list[str]) -> Mount:
    operation, *arguments = words
    flags = ""
    if arguments and arguments[0].startswith("-"):
        flags = arguments.pop(0)[1:]
    unknown = set(flags) - set("cq")
    if unknown:
        raise ValueError(f"the flag -{min(unknown)} is not known: there are -c and -q")
    writable, optional = "c" in flags, "q" in flags
    if operation == "bind" and len(arguments) == 2:
        mode = Mode.READ_WRITE if writable else Mode.READ_ONLY
        return _made(arguments[1], HostSource(arguments[0]), mode, optional)
    if operation == "mount" and len(arguments) == 3:
        device, at, argument = arguments
        if device == "#cow":
            return _made(at, HostSource(argument), Mode.COPY_ON_WRITE, optional)
        mode = Mode.READ_WRITE if writable else Mode.READ_ONLY
        return _made(at, _source(device, argument), mode, optional)
    raise ValueError("write bind [-cq] SOURCE AT, or mount [-cq] DEVICE AT ARGUMENT")


def _made(at: str, source: Source, mode: Mode, optional: bool) -> Mount:
    if not is_clean(at):
        raise ValueError(f'"{at}" is no absolute, clean path')
    return Mount(at, source, mode, optional)


def _source(device: str, argument: str) -> Source:
    if device == "#text":
        return TextSource(argument)
    if device == "#bytes":
        return BytesSource(base64.b64decode(argument, validate=True))
    if device == "#memory":
        return MemorySource(int(argument))
    if device == "#world":
        return WorldSource(argument)
    if device in ("#node", "#function"):
        raise ValueError(f"{device} is answered by Python code and cannot be made from text")
    raise ValueError(f"the device {device} is not known: there are #cow, #memory, #text, #bytes, #world")
