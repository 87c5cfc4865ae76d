"""What a browser is answered: the page, and the stream of what changes in it.

Rules: everything passes the door (`access`); nothing is loaded from outside, kept in a cache, or shown in
another page's frame; at most MAX_FEEDS browsers look on, and the next is told so.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import trio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from libos.unwrap import unwrapped
from libos.view.access import Access, Door, Refusal
from libos.view.feed import Feeds

# Streams served at once. Each holds a connection and the message under way.
MAX_FEEDS = 64
# Of every answer. What may run in the page is said by its Content-Security-Policy.
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Digits of a version that a browser may say it has.
_LONGEST_VERSION = 15


def site(door: Door, feeds: Feeds, page: Callable[[], tuple[str, str]]) -> Starlette:
    """Give the application. `page()` gives the page and its Content-Security-Policy, as they are now."""
    looking = trio.CapacityLimiter(MAX_FEEDS)

    async def show(request: Request) -> Response:
        html, policy = page()
        return HTMLResponse(html, headers=HEADERS | {"Content-Security-Policy": policy})

    async def follow(request: Request) -> Response:
        if looking.available_tokens <= 0:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_FEEDS} browsers look on already")
        return _Changes(feeds, looking, _version(request))

    routes = [Route(door.folder, show), Route(f"{door.folder}changes", follow, methods=["GET"])]
    return Starlette(routes=routes, middleware=[Middleware(_Guard, door=door)])


class _Guard:
    """Lets pass what the door lets pass."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._app if scope["type"] == "lifespan" else self._answer(Request(scope))
        await answer(scope, receive, send)

    def _answer(self, request: Request) -> ASGIApp:
        decided = self._door.decide(
            request.method, request.url.path, request.headers, request.query_params, request.cookies
        )
        if isinstance(decided, Refusal):
            return _said(decided.status, decided.reason)
        if decided is Access.READ:
            return self._app
        answer = RedirectResponse(self._door.folder, HTTPStatus.SEE_OTHER, HEADERS)
        answer.headers["Set-Cookie"] = self._door.cookie
        return answer


class _Changes(Response):
    """The stream of changes from one version on."""

    media_type = "text/event-stream"

    def __init__(self, feeds: Feeds, looking: trio.CapacityLimiter, version: int) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._feeds = feeds
        self._looking = looking
        self._from = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the browser goes away, or nothing changes any more."""

        async def send_some(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async with self._looking, unwrapped(), trio.open_nursery() as nursery:
            nursery.start_soon(_watch, receive, nursery.cancel_scope)
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            await self._feeds.follow(self._from, send_some)
            await send({"type": "http.response.body", "body": b""})
            nursery.cancel_scope.cancel()


async def _watch(receive: Receive, scope: trio.CancelScope) -> None:
    """End the stream when the browser has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _version(request: Request) -> int:
    """Give the version that the browser has: of its last message, else of the page that it loaded; 0 where it
    says nothing that could be one."""
    said = request.headers.get("last-event-id") or request.query_params.get("since") or ""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _LONGEST_VERSION else 0


def _said(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status, headers=HEADERS)
