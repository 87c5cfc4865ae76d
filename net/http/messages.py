"""A request and a response as the functions of a caller see them, and as h11 is told them.

Rules: a function may change headers, and the status of a response. What says where a message ends, whom it is
for and whether the connection goes on is the gate's: such headers are not shown, and may not be added.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from libos.net.address import Address
from libos.net.http.heads import HostileError
from libos.net.http.paths import AmbiguousPathError, normalized
from libos.net.naming.names import is_localhost

Headers = list[tuple[bytes, bytes]]

# RFC 9110, section 7.6.1, and RFC 9112, section 9.6: these are about one connection alone.
_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_FRAMING = frozenset((*_HOP, b"content-length", b"host"))
_DEFAULT_PORTS = {False: 80, True: 443}


class Refused(Exception):  # noqa: N818 - what a caller's function says, no fault of anybody
    """Raise it in `http_request` or `http_response` to have the app told 403. The text is for the event."""


@dataclass
class Request:
    """A request that the rules let pass. `target` is its path with the query, `path` the path that was
    compared. Headers are (name, value) in order; secrets are not in them yet."""

    method: str
    host: str
    path: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Response:
    """The head of an answer."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Whom and what a request is about: `path` is normalized, `target` is what is sent outside."""

    host: str
    path: str
    target: str


def asked(method: str, target: str, host_header: str, address: Address, tls: bool) -> Asked:
    """Read a request's target and Host, which must agree with the address that was dialed.

    Raises HostileError: 421 where the host or port is another one, 400 where there is no one meaning.
    """
    _agree(host_header, address, tls, named="Host")
    if method == "CONNECT":
        if not re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", target):
            raise HostileError("CONNECT takes HOST:PORT")
        return Asked(address.host, target.lower(), target)
    if target == "*" and method == "OPTIONS":
        return Asked(address.host, "*", "*")
    if not target.startswith("/"):
        target = _origin_form(target, address, tls)
    path, mark, query = target.partition("?")
    if "#" in target:
        raise HostileError("the target holds a fragment")
    try:
        path = normalized(path)
    except AmbiguousPathError as error:
        raise HostileError(str(error)) from None
    return Asked(address.host, path, path + mark + query)


def shown(headers: Headers) -> list[tuple[str, str]]:
    """Headers as a caller's function sees them."""
    return [
        (name.decode("ascii"), value.decode("latin-1")) for name, value in headers if name not in _FRAMING
    ]


def given_back(changed: list[tuple[str, str]], headers: Headers) -> Headers:
    """The same with what only the gate says. Raises ValueError for what no header is."""
    made = []
    for name, value in changed:
        if not re.fullmatch(r"[!#$%&'*+.^`|~0-9A-Za-z-]+", name) or name.lower().encode() in _FRAMING:
            raise ValueError(f'"{name}" is no header that may be set')
        if not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value) or value != value.strip():
            raise ValueError(f"the value of {name} holds what no header may hold")
        made.append((name.lower().encode(), value.encode("latin-1")))
    return [each for each in headers if each[0] in _FRAMING] + made


def end_to_end(headers: Headers, *, chunked: bool, upgrade: bool) -> Headers:
    """What goes on to the other side: without what was about one connection, and what `Connection` names."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    dropped = (_HOP | named) - {b"host", b"content-length"}
    kept = [(name, value) for name, value in headers if name not in dropped]
    if chunked:
        kept.append((b"transfer-encoding", b"chunked"))
    if upgrade:
        kept += [(b"connection", b"upgrade"), (b"upgrade", value_of(headers, b"upgrade") or b"")]
    return kept


def value_of(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, or None."""
    return next((value for each, value in headers if each == name), None)


def _origin_form(target: str, address: Address, tls: bool) -> str:
    try:
        parts = urlsplit(target)
    except ValueError:
        raise HostileError("the target is malformed") from None
    if parts.scheme not in ("http", "https") or not target.lower().startswith(f"{parts.scheme}://"):
        raise HostileError("the target is neither a path nor a URL of HTTP")
    if (parts.scheme == "https") is not tls:
        raise HostileError("the target's scheme is not this connection's", 421)
    _agree(parts.netloc, address, tls, named="the target")
    rest = target[len(parts.scheme) + 3 + len(parts.netloc) :]
    return rest if rest.startswith("/") else "/" + rest


def _agree(authority: str, address: Address, tls: bool, named: str) -> None:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?", authority)
    if match is None:
        raise HostileError(f"{named} does not name a host")
    host = (match[1] or match[2]).lower().removesuffix(".")
    port = int(match[3]) if match[3] else _DEFAULT_PORTS[tls]
    same = host == address.host or (is_localhost(address.host) and host in ("127.0.0.1", "::1"))
    if not same or (match[3] and port != address.port):
        raise HostileError(f"{named} is not {address.host}:{address.port}, which was connected to", 421)
