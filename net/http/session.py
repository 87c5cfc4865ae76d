"""One connection of an app by a grant with HTTP rules: its requests, one after another.

Rules:
- A request is judged before the outside is connected to, and nothing of one that is refused is sent.
- Whoever is refused is told why and loses the connection: what else stands in it is not looked at.
- The value of a secret is put in after everything else was decided: functions of the caller do not see it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import h11
import trio

from libos.net.address import Address
from libos.net.carried import Carried
from libos.net.http import messages
from libos.net.http.connecting import OutsideError, accept, reach
from libos.net.http.exchange import Exchange, other_protocol
from libos.net.http.heads import HostileError
from libos.net.http.messages import Asked, Headers, Refused, Request, Response, end_to_end, value_of
from libos.net.http.peer import Peer
from libos.net.http.rules import HttpRule
from libos.net.http.secrets import PlaceholderError
from libos.net.sockets import abort

if TYPE_CHECKING:
    from libos.net.granting.rule import Rule
    from libos.net.http.web import Web

# Seconds and bytes that are still read of an app that was refused: closing at once would reset the
# connection, and the app might lose the answer that says why.
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1024 * 1024
# What must not reach a host that could then echo a secret in a form that is not looked for.
_NOT_ASKED = (b"accept-encoding", b"range", b"if-range")


class Session:
    """Made for one connection; `fields` stand in its events."""

    def __init__(
        self,
        web: Web,
        rule: Rule,
        address: Address,
        connect: Callable[[], Awaitable[socket.socket]],
        carried: Carried,
        fields: dict[str, object],
    ) -> None:
        self._web = web
        assert rule.http is not None
        self._http = rule.http
        self._grant = rule.to
        self._address = address
        self._tls = rule.http.over_tls(address.port)
        self._connect = connect
        self._carried = carried
        self._fields = fields
        self._told: dict[str, object] = {"method": None, "host": None, "path": None}
        self._wrong_name: str | None = None
        self._app: Peer
        self._outside: Peer | None = None
        self._exchange: Exchange | None = None

    async def run(self, inside: socket.socket) -> None:
        """Serve until the app or a refusal ends it; closes `inside`. Raises OSError where it broke off."""
        try:
            authority = self._web.authority if self._tls else None
            self._app, self._wrong_name = await accept(inside, self._address, authority, self._carried)
            while await self._one():
                pass
            with trio.move_on_after(_LINGER_SECONDS):
                await self._app.stream.aclose()
        except HostileError as error:
            self._observe_refusal(str(error), None)
            abort(inside)
        except trio.BrokenResourceError:
            abort(inside)
            raise ConnectionResetError(errno.ECONNRESET, "the app's connection broke off") from None
        except h11.LocalProtocolError:
            # Its text would show what could not be sent, a secret's value maybe.
            abort(inside)
            raise ConnectionAbortedError(errno.ECONNABORTED, "a message could not be passed on") from None
        except BaseException:
            abort(inside)
            raise
        finally:
            self._drop_outside()

    async def _one(self) -> bool:
        """One request; whether the connection can have another."""
        self._told = {"method": None, "host": None, "path": None}
        self._exchange = None
        try:
            return await self._carry_one()
        except HostileError as error:
            await self._refuse(error.status, str(error))
        except Refused as error:
            await self._refuse(403, str(error) or "refused")
        except PlaceholderError as error:
            self._web.tell_placeholder(error, self._fields)
            await self._refuse(403, f"{error.strerror} is refused")
        except OutsideError as error:
            self._web.observe("error", {"operation": "http", **self._fields, "error": str(error)})
            await self._answer(502, str(error))
        return False

    async def _carry_one(self) -> bool:
        if self._carried.all_sent.is_set():  # nobody waits for it any more
            self._carried.all_sent = trio.Event()
        head = await self._app.head()
        if head is None:
            self._carried.all_sent.set()
            return False
        assert isinstance(head, h11.Request)
        asked, rule = self._judge(head)
        given = list(head.headers)
        upgrade = value_of(given, b"upgrade") is not None and rule.upgrade
        request = Request(head.method.decode(), asked.host, asked.path, asked.target, messages.shown(given))
        given = await self._changed(request, given)
        chunked = value_of(given, b"transfer-encoding") is not None
        cover = self._web.secrets.covers(self._grant)
        if cover is not None:
            given = [each for each in given if each[0] not in _NOT_ASKED] + [
                (b"accept-encoding", b"identity")
            ]
        headers = end_to_end(given, chunked=chunked, upgrade=upgrade)
        headers = self._web.secrets.put(headers, self._grant)
        cover = self._web.secrets.covers(self._grant, headers)
        outside = await self._reached()
        exchange = self._exchange = Exchange(
            self._app,
            outside,
            lambda answer, fields: self._judge_answer(request, answer, fields),
            self._carried.all_sent.set,
            self._web.secrets.scanner("the body"),
            cover,
            upgrade,
        )
        await exchange.run(h11.Request(method=head.method, target=asked.target, headers=headers))
        if exchange.switched:
            scanner = self._web.secrets.scanner("the bytes of an upgraded connection")
            await other_protocol(self._app, outside, scanner, cover)
            return False
        if not outside.next_cycle():
            self._drop_outside()
        return self._app.next_cycle() or await self._linger()

    def _judge(self, head: h11.Request) -> tuple[Asked, HttpRule]:
        """Raises HostileError for what is malformed or refused, PlaceholderError."""
        method, target = head.method.decode("ascii"), head.target.decode("ascii")
        headers = list(head.headers)
        host = (value_of(headers, b"host") or b"").decode("latin-1")
        self._told = {"method": method, "host": host, "path": target.partition("?")[0]}
        secrets = self._web.secrets
        secrets.check(head.method, "the method")
        secrets.check(head.target, "the path")
        secrets.put(headers, self._grant)  # judges those that are dropped on the way, too
        if self._wrong_name is not None:
            raise HostileError(f"TLS asked for {self._wrong_name}, and {self._address.host} was dialed", 421)
        asked = messages.asked(method, target, host, self._address, self._tls)
        secrets.check(asked.target.encode("ascii"), "the path")
        self._told |= {"host": asked.host, "path": asked.path}
        rule = self._http.decide(method, asked.host, asked.path)
        if isinstance(rule, str):
            raise HostileError(rule, 403)
        changes = method == "CONNECT" or value_of(headers, b"upgrade") is not None
        if changes and not rule.upgrade:
            raise HostileError("no rule lets the connection become another protocol's (upgrade = true)", 403)
        return asked, rule

    async def _changed(self, request: Request, headers: Headers) -> Headers:
        if self._http.on_request is None:
            return headers
        try:
            await self._http.on_request(request)
            return messages.given_back(request.headers, headers)
        except Refused:
            raise
        except Exception as error:
            raise OutsideError(f"http_request failed: {type(error).__name__}: {error}") from error

    async def _judge_answer(
        self, request: Request, head: h11.Response | h11.InformationalResponse, headers: Headers
    ) -> Headers:
        status = head.status_code
        if self._http.on_response is not None and status >= 200:
            response = Response(status, messages.shown(headers))
            try:
                await self._http.on_response(request, response)
                headers = messages.given_back(response.headers, headers)
            except Refused:
                raise
            except Exception as error:
                raise OutsideError(f"http_response failed: {type(error).__name__}: {error}") from error
        self._web.observe("http.request", {**self._fields, **self._told, "status": status})
        return headers

    async def _reached(self) -> Peer:
        """The outside, connected and verified; the same as for the last request where it still waits."""
        if self._outside is not None and not self._outside.quiet():
            self._drop_outside()
        if self._outside is None:
            self._outside = await reach(
                self._connect, self._address, self._web if self._tls else None, self._http.ca
            )
        return self._outside

    def _drop_outside(self) -> None:
        if self._outside is not None:
            self._outside.close()
            self._outside = None

    async def _refuse(self, status: int, reason: str) -> None:
        self._observe_refusal(reason, None if self._begun else status)
        await self._answer(status, reason)

    def _observe_refusal(self, reason: str, status: int | None) -> None:
        told = {**self._fields, **self._told, "status": status, "reason": reason}
        self._web.observe("http.refused", told)

    @property
    def _begun(self) -> bool:
        """Whether the app has a part of an answer already."""
        return self._exchange is not None and self._exchange.begun

    async def _answer(self, status: int, reason: str) -> None:
        """Tell the app in place of the outside; a reset where it has a part of an answer already."""
        self._carried.all_sent.set()
        self._drop_outside()
        if self._begun:
            raise ConnectionResetError(errno.ECONNRESET, f"the answer broke off: {reason}")
        body = f"libos: {reason}\n".encode(errors="replace")
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        await self._app.stream.send_all(head.encode() + (b"" if self._told["method"] == "HEAD" else body))
        await self._linger()

    async def _linger(self) -> bool:
        """Read for a moment what the app still sends, so that it reads the answer; then close."""
        read = 0
        with trio.move_on_after(_LINGER_SECONDS):
            try:
                await self._app.end_writing()
                while read < _LINGER_BYTES and (data := await self._app.stream.receive_some(65536)):
                    read += len(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                pass
        return False
