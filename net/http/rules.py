"""Which requests a grant lets pass: by method, host and path. Pure.

Rules:
- The first rule that fits a request decides; where none fits, it is refused.
- `*` in a path stands for what has no `/`, `**` for anything; letters count as they are. A host is a name or
  a pattern of one, as in a dial grant.
- CONNECT fits only a rule that names it, and its path is what is connected to, HOST:PORT.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libos.net.granting.target import parse_target
from libos.net.http.paths import readings

if TYPE_CHECKING:
    from libos.net.http.messages import Request, Response

# RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The port of plain HTTP: RFC 9110, section 4.2.1.
_PLAIN_PORT = 80

OnRequest = Callable[["Request"], Awaitable[None]]
OnResponse = Callable[["Request", "Response"], Awaitable[None]]


@dataclass(frozen=True)
class HttpRule:
    """One rule. None stands for any; `upgrade` lets the connection become another protocol's."""

    methods: tuple[str, ...] | None = None
    path: str | None = None
    host: str | None = None
    upgrade: bool = False
    refuse: bool = False

    def fits(self, method: str, host: str, path: str) -> bool:
        """Whether it is about such a request."""
        named = method != "CONNECT" if self.methods is None else method in self.methods
        at_host = self.host is None or parse_target(f"tcp!{self.host}!1").covers_host(host)
        return named and at_host and (self.path is None or _pattern(self.path).fullmatch(path) is not None)


@dataclass(frozen=True)
class Http:
    """What a grant says of HTTP. `rules` of None lets every request pass, but for CONNECT and upgrades.

    `tls` of None is TLS on every port but 80. `ca` is a file of certificates that are trusted outside besides
    the system's. `on_request` and `on_response` are called for each request that the rules let pass.
    """

    rules: tuple[HttpRule, ...] | None = None
    tls: bool | None = None
    ca: str | None = None
    on_request: OnRequest | None = None
    on_response: OnResponse | None = None

    def over_tls(self, port: int) -> bool:
        """Whether connections to a port speak TLS."""
        return port != _PLAIN_PORT if self.tls is None else self.tls

    def decide(self, method: str, host: str, path: str) -> HttpRule | str:
        """The rule by which a request passes, or why it does not. The path is normalized."""
        if self.rules is None:
            return "no rule names CONNECT" if method == "CONNECT" else _ANY
        ways = (path,) if method == "CONNECT" else readings(path)
        found = [next((each for each in self.rules if each.fits(method, host, way)), None) for way in ways]
        if any(each is not found[0] for each in found):
            return "servers may read this path in several ways, which the rules decide differently"
        if found[0] is None:
            return "no rule lets this request pass"
        return "a rule refuses this request" if found[0].refuse else found[0]


_ANY = HttpRule()


def check_method(method: str) -> str:
    """The method itself. Raises ValueError where it is none, or not in the capitals that requests have."""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f'"{method}" is no HTTP method: write it as "GET"')
    if method != method.upper():
        raise ValueError(f'"{method}": methods are told apart by case: write "{method.upper()}"')
    return method


def check_host_pattern(host: str) -> str:
    """A host or a pattern of one, in its one spelling. Raises ValueError."""
    return parse_target(f"tcp!{host}!1").host


def check_path(path: str) -> str:
    """The pattern itself. Raises ValueError where no request has such a path."""
    if not path.startswith(("/", "*")) and not re.fullmatch(r"[A-Za-z0-9.:\[\]*-]+:[0-9*]+", path):
        raise ValueError(f'"{path}" is no path: it begins with /, as "/v1/**"')
    if "?" in path or "#" in path:
        raise ValueError(f'"{path}": rules are about the path alone, without ? and #')
    return path


@functools.lru_cache(maxsize=1024)
def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", path)
    into = {"*": "[^/]*", "**": ".*"}
    return re.compile("".join(into.get(part, re.escape(part)) for part in parts))
