"""Namespaces as text, in the grammar of Plan 9's namespace(6).

One operation a line, arguments split on blanks and quoted as rc(1) does ('it''s'); `#` begins a comment.
What a namespace holds is written in these:

    bind NEW OLD                         what the namespace shows at NEW then, a second time, read-only
    bind '#host/PATH' OLD                a file or directory of the host, read-only
    bind -c …                            the same, read-write; in a union things are created there
    bind -w …                            the same, read-write; in a union nothing is created there
    bind -b …, bind -a …                 before or after what stands at OLD: a union
    mount -c '#cow' OLD PATH             a directory of the host, copy-on-write
    mount -c '#memory' OLD BYTES         an empty directory in memory of at most this size
    mount '#image' OLD IMAGE             what an image holds, read-only; with -c copy-on-write
    mount '#text' OLD TEXT               a file with this text
    mount '#bytes' OLD BASE64            a file with these bytes
    mount [-c] '#channel' OLD WORDS      a file with a budget: `libos.namespace.channel` has the words
    mount '#service' OLD ADDRESS         a unix socket that leads outside: unix!/PATH, tcp!HOST!PORT
    mount [-c] '#9p' OLD ADDRESS         what a file server serves by 9P2000.L: unix!/PATH, tcp!HOST!PORT
    mount '#node' OLD NAME               what Python code answers, or '#function': text cannot recreate it
    mount '#world' OLD NAME              a file that the supervisor writes: hosts, resolv.conf
    layer OLD NAME ARGUMENT …            a layer over what was mounted last at OLD (`layer_text`)
    cd DIRECTORY                         where the app starts

The flag -q marks an optional mount, as in 9front's lib/namespace. A line break, carriage return, NUL or
backslash in an argument is written \\n, \\r, \\0 and \\\\, so that a text stays on its line. What `write`
writes, `parse` reads back, but for nodes and functions: these are errors there.
"""

from __future__ import annotations

import base64

from libos.namespace.channel import ChannelSource
from libos.namespace.layer_text import layer_words
from libos.namespace.model import (
    BoundSource,
    BytesSource,
    FunctionSource,
    HostSource,
    ImageSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    NodeSource,
    Order,
    P9Source,
    ServiceSource,
    Source,
    TextSource,
    WorldSource,
)
from libos.namespace.reading import read
from libos.namespace.words import quote


def write(namespace: Namespace, directory: str = "/") -> str:
    """The table, one operation a line, in order; with `directory`, where the app starts, on the last line."""
    lines = [each for mount in namespace for each in lines_of(mount)]
    if directory != "/":
        lines.append(f"cd {quote(directory)}")
    return "".join(each + "\n" for each in lines)


def line(mount: Mount) -> str:
    """One mount as an operation, without its layers."""
    return lines_of(mount)[0]


def lines_of(mount: Mount) -> list[str]:
    """One mount as an operation, and a line for each of its layers."""
    operation, *arguments = _operation(mount)
    flags = _flags(mount)
    words = [operation, *(["-" + flags] if flags else []), *map(quote, arguments)]
    layers = [layer_words(layer) for layer in mount.layers]
    layers += [[name] for name in ("revocable", "replaceable") if getattr(mount, name)]
    over = [" ".join(["layer", quote(mount.at), *map(quote, layer)]) for layer in layers]
    return [" ".join(words), *over]


def _flags(mount: Mount) -> str:
    order = {Order.REPLACE: "", Order.BEFORE: "b", Order.AFTER: "a"}[mount.order]
    writes = "" if mount.mode is Mode.READ_ONLY else "c" if mount.creatable else "w"
    return order + writes + ("q" if mount.optional else "")


def _operation(mount: Mount) -> tuple[str, ...]:
    source, at = mount.source, mount.at
    if isinstance(source, BoundSource):
        return ("bind", source.path, at)
    if isinstance(source, HostSource):
        copied = mount.mode is Mode.COPY_ON_WRITE
        return ("mount", "#cow", at, source.path) if copied else ("bind", "#host" + source.path, at)
    return ("mount", *_device(source, at))


def _device(source: Source, at: str) -> tuple[str, str, str]:
    if isinstance(source, ImageSource):
        return "#image", at, source.reference + ("" if source.path == "/" else f"/{source.path}")
    if isinstance(source, TextSource):
        return "#text", at, source.text
    if isinstance(source, BytesSource):
        return "#bytes", at, base64.b64encode(source.data).decode()
    if isinstance(source, MemorySource):
        return "#memory", at, str(source.size)
    if isinstance(source, ChannelSource):
        return "#channel", at, source.words()
    if isinstance(source, WorldSource):
        return "#world", at, source.name
    if isinstance(source, P9Source):
        return "#9p", at, source.to
    if isinstance(source, ServiceSource):
        return "#service" if isinstance(source.to, str) else "#function", at, str(source)
    if isinstance(source, NodeSource):
        return "#node", at, type(source.node).__name__
    assert isinstance(source, FunctionSource)
    return "#function", at, getattr(source.function, "__qualname__", type(source.function).__name__)


def parse(text: str) -> Namespace:
    """The namespace that a text of this grammar says, by itself: nothing is asked of the host, and there are
    no variables. NamespaceError, with every wrong line by its number."""
    return read(text).namespace()
