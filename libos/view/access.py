"""Who is answered by a page on the loopback address. Pure.

Any web page that a person has open may send requests to a port of this machine, and so may any user of it.
Rules, in this order:
- The request names the address that is served (Host): a foreign name that resolves to 127.0.0.1 is refused
  with 421, which ends DNS rebinding.
- It comes from no other origin (Origin, and Sec-Fetch-Site where the browser tells it): 403.
- It only reads (GET, HEAD): 405.
- It has the token, once as a query of the first address and then as a cookie: 401. Compared in constant time.

The cookie is HttpOnly and SameSite=Strict. Ports share cookies (RFC 6265, 8.5), so its path is a random one,
which no other server on this machine knows: the browser sends it to none of them.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus

COOKIE = "libos-view"
# Bytes of a token: as `secrets` has them by default, beyond what can be tried.
_TOKEN_BYTES = 32
# Bytes of the path that the page is under. It keeps the cookie from other ports and is no secret to the user.
_PATH_BYTES = 8
# What a browser says of where a request comes from: typed by the user, or this page itself. Fetch Metadata.
_OWN_SITES = (None, "none", "same-origin")


class Access(Enum):
    """What becomes of a request that is not refused."""

    ENTER = "it has the token in its address: give it the cookie, and lead it to the page"
    READ = "it has the cookie"


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered: the status, and a sentence for a person."""

    status: HTTPStatus
    reason: str


@dataclass(frozen=True)
class Door:
    """Decides on requests to one port."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES), repr=False)
    folder: str = field(default_factory=lambda: f"/{secrets.token_hex(_PATH_BYTES)}/")

    @property
    def url(self) -> str:
        """The address to open; whoever has it may read the page."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """The header Set-Cookie for who has shown the token."""
        return f"{COOKIE}={self.token}; Path={self.folder}; HttpOnly; SameSite=Strict"

    def decide(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        cookies: Mapping[str, str],
    ) -> Access | Refusal:
        """Decide on one request; header names are in lower case."""
        hosts = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        host = headers.get("host")
        if host not in hosts:
            return Refusal(HTTPStatus.MISDIRECTED_REQUEST, "this server answers for its own address alone")
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return Refusal(HTTPStatus.FORBIDDEN, "requests of other origins are not answered")
        if headers.get("sec-fetch-site") not in _OWN_SITES:
            return Refusal(HTTPStatus.FORBIDDEN, "another site led here: copy the address into the browser")
        if method not in ("GET", "HEAD"):
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this page can only be read")
        if path == "/" and self._is_token(query.get("token")):
            return Access.ENTER
        if path.startswith(self.folder) and self._is_token(cookies.get(COOKIE)):
            return Access.READ
        return Refusal(
            HTTPStatus.UNAUTHORIZED, "open the address that libos view has printed, with its token"
        )

    def _is_token(self, said: str | None) -> bool:
        return said is not None and hmac.compare_digest(said.encode(errors="replace"), self.token.encode())
