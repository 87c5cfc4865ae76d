"""The small grammars of manifests: sizes, durations, ports, places, names.

Each function turns one written value into its meaning or raises ValueError with a sentence that names the
value and says what would be right. Files, mappings and command-line options all go through these, so that a
value means the same everywhere. Patterns are compiled when they are first used: a start pays for each.
"""

from __future__ import annotations

import posixpath
import re

from libos.namespace import is_at_or_below, is_clean

# Binary multiples, as docker's -m and tmpfs(5) size= mean them.
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = r"([0-9]{1,15})\s*([kmgt]?)(?:i?b)?"

# Seconds.
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIME_PART = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|min|[smhd])\s*"

# The largest length of a host name on Linux, in bytes: HOST_NAME_MAX, sethostname(2).
_HOST_NAME_MAX = 64
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

# A world's name is a file name below $XDG_RUNTIME_DIR and must leave room in sun_path (108 bytes, unix(7)).
_WORLD_NAME = r"[a-z0-9][a-z0-9_.-]{0,47}"
# How many stand below each other, and the characters of all their names, for the same reason.
MOST_WORLDS_DEEP = 8
_WORLD_PATH = 80

# Made by the world's init; a mount there would be covered or would cover it.
_MADE_BY_INIT = ("/proc", "/dev")


def version(value: int) -> int:
    """The version of the grammar: 1 is the only one so far."""
    if value != 1:
        raise ValueError(f"this libos reads version 1 of the manifest, not {value}: write libos = 1")
    return value


def size(value: int | str) -> int:
    """Bytes: a whole number, or a number with K, M, G or T (powers of 1024): "64M"."""
    if isinstance(value, int):
        amount = value
    else:
        match = re.fullmatch(_SIZE, value.strip(), re.IGNORECASE)
        if match is None:
            raise ValueError(
                f'"{value}" is no size: write a number of bytes or one with K, M, G or T, as "64M"'
            )
        amount = int(match[1]) * _SIZE_UNITS[match[2].lower()]
    if not 0 < amount < 1 << 60:
        raise ValueError(f"a size of {value} is out of range: it is between 1 byte and 1 EiB")
    return amount


def amount(value: int | str) -> int:
    """A size that may be nothing: 0, or what `size` reads."""
    return 0 if value in (0, "0") else size(value)


def count(value: int) -> int:
    """A number of things: not negative."""
    if not 0 <= value < 1 << 60:
        raise ValueError(f"{value} is out of range: it is 0 or more")
    return value


def share(value: float) -> float:
    """A part of a whole: 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is out of range: it is a share, from 0 to 1")
    return float(value)


def errno_name(value: str) -> str:
    """The name of an errno: "EIO"."""
    import errno

    if not hasattr(errno, value):
        raise ValueError(f'"{value}" is no errno: write one by name, as "EIO" or "ENOSPC"')
    return value


def pattern(value: str) -> str:
    """A pattern of gitignore(5)."""
    if not value.strip() or "\n" in value or "\0" in value:
        raise ValueError("a pattern is one line and not empty: write one as in a .gitignore, as **/.env")
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([value])
    except ValueError as wrong:
        raise ValueError(f'"{value}" is no gitignore pattern: {wrong}') from None
    return value


def duration(value: float | str) -> float:
    """Seconds: a number, or numbers with ms, s, min (or m), h, d: "90s", "1h30min"."""
    seconds = float(value) if isinstance(value, (int, float)) else _duration_text(value)
    if not 0 < seconds < 10 * 365 * 86400:
        raise ValueError(f"a time of {value} is out of range: it is longer than 0 and under ten years")
    return seconds


def _duration_text(value: str) -> float:
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    seconds, at = 0.0, 0
    while match := re.compile(_TIME_PART).match(text, at):
        seconds += float(match[1]) * _TIME_UNITS[match[2]]
        at = match.end()
    if at != len(text) or not text:
        raise ValueError(
            f'"{value}" is no time: write seconds or a number with ms, s, min, h or d, as "10min"'
        )
    return seconds


def place(value: str) -> str:
    """A mount point: absolute, clean, and not where init builds /proc and /dev."""
    path(value)
    for made in _MADE_BY_INIT:
        if is_at_or_below(value, made):
            raise ValueError(f'nothing can be mounted at "{value}": every world has a {made} of its own')
    if value == "/":
        raise ValueError('nothing can be mounted at "/": it shows what is mounted below; name a directory')
    return value


def path(value: str) -> str:
    """An absolute, clean path in the world."""
    if "\0" in value:
        raise ValueError("a path cannot hold a NUL byte")
    if not value.startswith("/"):
        absolute = posixpath.normpath("/" + value)
        raise ValueError(f'"{value}" is a relative path: write an absolute one, as "{absolute}"')
    if not is_clean(value):
        clean = posixpath.normpath("/" + value.lstrip("/"))
        raise ValueError(f'"{value}" is not in its plain form: write "{clean}"')
    return value


def host_path(value: str) -> str:
    """A path on the host as it is written; it is made absolute later."""
    if not value:
        raise ValueError('an empty path: write "." for the folder of the manifest')
    if "\0" in value:
        raise ValueError("a path cannot hold a NUL byte")
    return value


def port(value: int, *, zero: bool = False) -> int:
    """A TCP port: 1 to 65535; 0 too where it stands for any free port."""
    if not (0 if zero else 1) <= value <= 65535:
        raise ValueError(f"port {value} is out of range: it is 1 to 65535")
    return value


def port_text(value: str, *, zero: bool = False) -> int:
    """The same from text."""
    if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        raise ValueError(f'"{value}" is no port number: it is 1 to 65535')
    return port(int(value), zero=zero)


def ip_literal(value: str) -> str:
    """An IP address in its usual form; IPv6 with or without brackets."""
    import ipaddress

    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise ValueError(
            f'"{value}" is no IP address: write one as 127.0.0.1 or [::1], or 0.0.0.0 for every interface'
        ) from None


def dial_target(value: str) -> str:
    """What may be dialed, in the form of dial(2) and its one spelling: "tcp!*.example.com!443"."""
    from libos.net.granting.target import parse_target

    return str(parse_target(value))


def via(value: object) -> None:
    """A way outside: an address, a unix socket, a proxy (see `libos.net.outbound.via`), a function."""
    if isinstance(value, str):
        from libos.net.outbound.via import parse_via

        parse_via(value)
    elif not callable(value):
        raise ValueError(f'"via" is a text or an async function, not a {type(value).__name__}')


def image(value: str) -> str:
    """An image by where it lies: "oci:DIR", "oci-archive:FILE", or a tar; see `libos.images.reference`."""
    from libos.images.reference import parse

    return str(parse(value))


def service(value: str) -> str:
    """Where a service leads: "unix!/PATH" or "tcp!HOST!PORT"."""
    from libos.net.outbound.via import parse_service

    return parse_service(value)


def service_or_function(value: object) -> object:
    """The same, or from Python an async function that gets the stream of each connection."""
    if isinstance(value, str):
        return service(value)
    import inspect

    if not inspect.iscoroutinefunction(getattr(value, "__func__", value)) and not inspect.iscoroutinefunction(
        getattr(value, "__call__", None)  # noqa: B004 - an object that is called, and whose call is a coroutine
    ):
        raise ValueError("a service is a text or an async function, which takes a trio.SocketStream")
    return value


def rate(value: int | str) -> int:
    """Bytes a second: a size ("1M"), or bits with kbit, mbit or gbit (powers of 1000, as tc(8) means
    them)."""
    match = re.fullmatch(r"([0-9]{1,9})\s*([kmg])?bit(?:/s)?", str(value).strip(), re.IGNORECASE)
    if match is None:
        try:
            return size(value)
        except ValueError:
            raise ValueError(
                f'"{value}" is no rate: write bytes a second as "1M", or bits as "8Mbit"'
            ) from None
    bits = int(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[(match[2] or "").lower()]
    if bits < 8:
        raise ValueError(f'a rate of "{value}" is less than a byte a second')
    return bits // 8


def loss(value: float | str) -> float:
    """A share of what is sent: 0 to 1, or a text in percent: "1%", "0.5%"."""
    if not isinstance(value, str):
        return share(value)
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%", value.strip())
    if match is None:
        raise ValueError(f'"{value}" is no share: write one from 0 to 1, or percent, as "1%"')
    return share(float(match[1]) / 100)


def user(text: str) -> str:
    """Who an app is inside: "app" or "root". ValueError for anybody else."""
    if text not in ("app", "root"):
        raise ValueError("a world knows two users: app and root")
    return text


def syscall_profile(value: str) -> str:
    """A profile of system calls: "default", "strict", "narrow", "compute"."""
    from libos.syscalls.resolving import profile_name

    return profile_name(value)


def syscall(value: str) -> str:
    """A system call by its name, or a group of them: "ptrace", "@network"."""
    from libos.syscalls.resolving import entry

    return entry(value)


def denied_syscall(value: str) -> str:
    """The same, of what can be denied."""
    from libos.syscalls.resolving import denial

    return denial(value)


def host_name(value: str) -> str:
    """The world's own host name: letters, digits and hyphens, in labels."""
    if len(value) > _HOST_NAME_MAX or not all(
        re.fullmatch(_LABEL, label, re.IGNORECASE) for label in value.split(".")
    ):
        raise ValueError(
            f'"{value}" is no host name: use letters, digits and inner hyphens, {_HOST_NAME_MAX} at most'
        )
    return value


def world_name(value: str) -> str:
    """The name by which `libos ps`, `exec` and `kill` find the app; of one below others the names of these
    come first, as build/tests."""
    labels = value.split("/")
    if not all(re.fullmatch(_WORLD_NAME, label, re.IGNORECASE) for label in labels):
        raise ValueError(
            f'"{value}" cannot name an app: write letters, digits, "-", "_" and inner ".", 48 at most; '
            "below another one build/tests"
        )
    if len(labels) > MOST_WORLDS_DEEP or len(value) > _WORLD_PATH:
        raise ValueError(
            f'"{value}" is too deep: {MOST_WORLDS_DEEP} names and {_WORLD_PATH} characters are the most'
        )
    return value


def keep_name(value: str) -> str:
    """The name under which changes are kept; a file name too."""
    if not re.fullmatch(_WORLD_NAME, value, re.IGNORECASE):
        raise ValueError(
            f'"{value}" cannot name kept changes: write letters, digits, "-", "_" and inner ".", 48 at most'
        )
    return value


def variable(name: str) -> str:
    """The name of an environment variable."""
    if not name or "=" in name or "\0" in name:
        raise ValueError(f'"{name}" cannot name an environment variable: it is empty or has "=" or NUL in it')
    return name


def argument(value: str) -> str:
    """A text that is handed to execve(2): without NUL."""
    if "\0" in value:
        raise ValueError("a text with a NUL byte cannot be handed to a program")
    return value


def base64_bytes(value: str | bytes) -> bytes:
    """The content of a `bytes` mount: base64 in a file, or bytes as they are from Python."""
    if isinstance(value, bytes):
        return value
    import base64

    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except ValueError:  # binascii.Error is one
        raise ValueError("this is not base64: encode it with base64(1), or use text") from None
