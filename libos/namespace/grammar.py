"""From the words of a line to an operation, and from an operation to what is mounted.

The exact counts of arguments and the letters are those of newns.c in 9front. `strict` refuses what is wrong;
`compat` gives None for it, since 9front does nothing then: an unknown operation or another count; letters
that it does not know are passed over.
"""

from __future__ import annotations

import base64
import posixpath

from libos.namespace.channel import channel_of
from libos.namespace.errors import GrammarError, OrderError
from libos.namespace.layer_text import parse_layer
from libos.namespace.model import (
    BoundSource,
    BytesSource,
    HostSource,
    ImageSource,
    MemorySource,
    Mode,
    Mount,
    Order,
    P9Source,
    ServiceSource,
    Source,
    TextSource,
    WorldSource,
)
from libos.namespace.operations import (
    Bind,
    Chdir,
    Clear,
    Include,
    Lay,
    MountServer,
    Operation,
    Unmount,
)

HOST = "#host"
DEVICES = ("#cow", "#image", "#memory", "#text", "#bytes", "#channel", "#service", "#9p", "#world")

_LETTERS = "abcCqw"
_COUNTS = {"bind": (2, 2), "mount": (2, 3), "unmount": (1, 2), "cd": (1, 1), "clear": (0, 0), ".": (1, 1)}
_FORMS = {
    "bind": "bind [-abcqw] NEW OLD",
    "mount": "mount [-abcqw] DEVICE OLD [SPEC]",
    "unmount": "unmount [NEW] OLD",
    "cd": "cd DIRECTORY",
    "clear": "clear",
    ".": ". FILE",
    "layer": "layer OLD NAME [ARGUMENT ...]",
}


def operation_of(words: list[str], *, compat: bool = False) -> Operation | None:
    """The operation of a line. GrammarError, OrderError; with `compat` None instead."""
    try:
        return _operation(words[0], words[1:], compat)
    except (GrammarError, OrderError):
        if compat:
            return None
        raise


def _operation(name: str, rest: list[str], compat: bool) -> Operation:
    if name not in _FORMS or (name == "layer" and compat):
        raise GrammarError(f'"{name}" is no operation: there are {", ".join(_FORMS)}')
    if name == "layer":
        if len(rest) < 2:
            raise GrammarError(f"write {_FORMS[name]}")
        return Lay(rest[0], parse_layer(rest[1:]))
    flags, arguments = _flags(rest)
    least, most = _COUNTS[name]
    if not least <= len(arguments) <= most:
        raise GrammarError(f"write {_FORMS[name]}: {len(arguments)} arguments stand here")
    if not compat:
        _check_flags(name, flags)
    if "a" in flags and "b" in flags:
        raise OrderError("-a with -b is no order: bind before or after")
    flags = "".join(sorted(set(flags) & set(_LETTERS)))
    return _made(name, arguments, flags)


def _flags(words: list[str]) -> tuple[str, list[str]]:
    """The letters of all leading words with a dash, up to "--", and the rest: ARGBEGIN of arg(2)."""
    flags = ""
    while words and len(words[0]) > 1 and words[0].startswith("-"):
        word, words = words[0], words[1:]
        if word == "--":
            break
        flags += word[1:]
    return flags, words


def _check_flags(name: str, flags: str) -> None:
    if flags and name not in ("bind", "mount"):
        raise GrammarError(f"{name} takes no flags: write {_FORMS[name]}")
    if unknown := sorted(set(flags) - set(_LETTERS)):
        raise GrammarError(f"the flag -{unknown[0]} is not known: there are -a, -b, -c, -C, -q and -w")
    if "c" in flags and "w" in flags:
        raise GrammarError("-c lets things be created and -w does not: write one of them")


def _made(name: str, arguments: list[str], flags: str) -> Operation:
    match name:
        case "bind":
            return Bind(arguments[0], arguments[1], flags)
        case "mount":
            server, old, *spec = arguments
            return MountServer(server, old, "".join(spec), flags)
        case "unmount":
            *new, old = arguments
            return Unmount(old, new[0] if new else None)
        case "cd":
            return Chdir(arguments[0])
        case ".":
            return Include(arguments[0])
    return Clear()


def absolute(path: str, directory: str) -> str:
    """A name of the namespace made absolute and clean, as Plan 9 cleans names: by their text."""
    if "\0" in path:
        raise GrammarError("a name cannot hold a NUL byte")
    clean = posixpath.normpath(posixpath.join(directory, path))
    return "/" + clean.lstrip("/")


def host_path(name: str) -> str | None:
    """The path of the host that "#host/path" names; None for any other name."""
    if name != HOST and not name.startswith(HOST + "/"):
        return None
    if "\0" in name:
        raise GrammarError("a path of the host cannot hold a NUL byte")
    return posixpath.normpath("/" + name[len(HOST) :].lstrip("/"))


def mount_of(operation: Bind | MountServer, directory: str, origin: str) -> Mount:
    """What a bind or mount says, as a value. GrammarError."""
    flags = operation.flags
    order = Order.AFTER if "a" in flags else Order.BEFORE if "b" in flags else Order.REPLACE
    mode = Mode.READ_WRITE if "c" in flags or "w" in flags else Mode.READ_ONLY
    source: Source
    if isinstance(operation, Bind):
        source = bound_or_host(operation.new, directory)
    elif operation.server == "#cow":
        source, mode = HostSource(_host_spec(operation.spec)), Mode.COPY_ON_WRITE
    elif operation.server == "#image":
        source = _image(operation.spec)
        mode = (
            Mode.READ_ONLY if mode is Mode.READ_ONLY else Mode.COPY_ON_WRITE
        )  # its layers are never written
    else:
        source = _device(operation.server, operation.spec)
    return Mount(
        absolute(operation.old, directory), source, mode, "q" in flags, order, creatable="w" not in flags,
        origin=origin,
    )  # fmt: skip


def bound_or_host(name: str, directory: str) -> BoundSource | HostSource:
    """What a name of bind's or unmount's `new` means."""
    if (path := host_path(name)) is not None:
        return HostSource(path)
    if name.startswith("#"):
        raise GrammarError(f'the device "{name}" cannot be bound: there is #host/PATH; mount the others')
    return BoundSource(absolute(name, directory))


def _host_spec(spec: str) -> str:
    path = host_path(spec) if spec.startswith("#") else spec
    if not path or not path.startswith("/") or "\0" in path:
        raise GrammarError(f'"{spec}" is no absolute path of the host')
    return posixpath.normpath("/" + path.lstrip("/"))


def _address(spec: str) -> str:
    from libos.net.outbound.via import parse_service

    try:
        return parse_service(spec)
    except ValueError as wrong:
        raise GrammarError(str(wrong)) from None


def _image(spec: str) -> ImageSource:
    """An image and, after "//", a path in it."""
    reference, _, below = spec.partition("//")
    path = reference.partition(":")[2] if reference.startswith(("oci:", "oci-archive:")) else reference
    if not path.startswith("/") or "\0" in spec:
        raise GrammarError(f'"{spec}" names no image by an absolute path')
    return ImageSource(reference, posixpath.normpath("/" + below.lstrip("/")))


def _device(server: str, spec: str) -> Source:
    match server:
        case "#text":
            return TextSource(spec)
        case "#bytes":
            try:
                return BytesSource(base64.b64decode(spec, validate=True))
            except ValueError:
                raise GrammarError("the bytes of #bytes are written in base64") from None
        case "#memory":
            if not spec.isascii() or not spec.isdigit():
                raise GrammarError(f'the size of #memory is a number of bytes, not "{spec}"')
            return MemorySource(int(spec))
        case "#channel":
            return channel_of(spec)
        case "#world":
            return WorldSource(spec)
        case "#service" | "#9p":
            address = _address(spec)
            return P9Source(address) if server == "#9p" else ServiceSource(address)
        case "#node" | "#function":
            raise GrammarError(f"{server} is answered by Python code and cannot be made from text")
    raise GrammarError(f'the device "{server}" is not known: there are {", ".join(DEVICES)}')
