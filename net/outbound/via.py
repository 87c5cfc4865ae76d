"""Another way outside than the address that was dialed, as people write it. Pure.

| written | leads |
|---|---|
| `tcp!127.0.0.1!9000` | to this address, whatever was dialed |
| `unix!/run/x.sock` | to a unix socket of the host |
| `socks5://[user:password@]HOST:PORT` | through a SOCKS5 proxy: RFC 1928, RFC 1929 |
| `http://[user:password@]HOST:PORT` | through an HTTP proxy's CONNECT: RFC 9110, section 9.3.6 |

To a proxy goes what was dialed, a name as a name: the proxy looks it up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from libos.net.address import Address, check_host, check_port, parse

# Bytes of a unix socket's path: sun_path less its final NUL, unix(7).
_LONGEST_PATH = 107
# Bytes of a user name and of a password: RFC 1929, section 2.
_LONGEST_SECRET = 255
_PROXIES = ("socks5", "http")
_FORMS = (
    'an address as "tcp!127.0.0.1!9000", "unix!/path", "socks5://HOST:PORT" or "http://HOST:PORT" '
    "(a proxy's CONNECT)"
)


@dataclass(frozen=True)
class Proxy:
    """A proxy. `str()` shows no password."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self.user + ':…@' if self.user else ''}{host}:{self.port}"


@dataclass(frozen=True)
class UnixPath:
    """A unix socket of the host."""

    path: str

    def __str__(self) -> str:
        return f"unix!{self.path}"


Via = Address | UnixPath | Proxy


def parse_service(text: str) -> str:
    """Where a service leads, in its one spelling: `unix!/run/postgresql/.s.PGSQL.5432`, `tcp!HOST!PORT`.

    Raises ValueError with one sentence.
    """
    if not text.startswith(("unix!", "tcp!")):
        raise ValueError(f'"{text}" is no service: write unix!/PATH or tcp!HOST!PORT')
    return str(parse_via(text))


def parse_via(text: str) -> Via:
    """Read a way outside.

    Raises ValueError with one sentence that says what is wrong and what to write instead; a password is not
    in it.
    """
    if text.startswith("unix!"):
        return _unix(text.removeprefix("unix!"))
    if "://" in text:
        return _proxy(text)
    if "!" in text:
        return parse(text)
    raise ValueError(f'"{text}" is no way outside: write {_FORMS}')


def _unix(path: str) -> UnixPath:
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f'"unix!{path}": write an absolute path, as unix!/run/x.sock')
    if len(path.encode(errors="surrogateescape")) > _LONGEST_PATH:
        raise ValueError(f"a unix socket's path has at most {_LONGEST_PATH} bytes: choose a shorter one")
    return UnixPath(path)


def _proxy(text: str) -> Proxy:
    shown = re.sub(r"//[^/@]*@", "//…@", text)
    scheme = text.partition("://")[0].lower()
    if scheme == "socks5h":
        raise ValueError(f'"{shown}": write socks5://, a name always goes to the proxy as a name')
    if scheme not in _PROXIES:
        raise ValueError(f'"{shown}": the proxy "{scheme}" is not known: write socks5:// or http://')
    try:
        parts = urlsplit(text)
        host, port = check_host(parts.hostname or ""), parts.port
    except ValueError as error:
        raise ValueError(f'"{shown}": {error}') from None
    if port is None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f'"{shown}": write {scheme}://HOST:PORT and nothing behind it')
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if "@" in parts.netloc:
        _check_secret(scheme, user, password, shown)
    return Proxy(scheme, host, check_port(port), user, password)


def _check_secret(scheme: str, user: str, password: str, shown: str) -> None:
    """What either protocol can carry, RFC 1929 and RFC 7617."""
    for what, value in (("user name", user), ("password", password)):
        if not value or not value.isascii() or not value.isprintable() or len(value) > _LONGEST_SECRET:
            raise ValueError(
                f'"{shown}": a {what} is 1 to {_LONGEST_SECRET} printable ASCII characters, as user:password@'
            )
    if scheme == "http" and ":" in user:
        raise ValueError(f'"{shown}": a user name for http has no colon')
