"""What the HTTP grants of a world share: its certificate authority and its secrets."""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from libos.net.address import Address
from libos.net.carried import Carried, Tap
from libos.net.http import trust
from libos.net.http.secrets import PlaceholderError, Scanner, Secrets
from libos.net.sockets import Observe

if TYPE_CHECKING:
    from libos.net.granting.rule import Rule
    from libos.net.http.authority import Authority


class Web:
    """Made with a world. The authority is made when it is first asked for."""

    def __init__(
        self, world: str, observe: Observe, secrets: Secrets | None = None, *, trusted: bool = True
    ) -> None:
        """`trusted` says whether the world trusts the authority: whether it has a bundle with it."""
        self._world = world
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self.trusted = trusted
        self.observe = observe
        self.secrets = secrets or Secrets()

    @functools.cached_property
    def authority(self) -> Authority:
        """The certificate authority of this world."""
        from libos.net.http.authority import Authority

        return Authority(self._world)

    async def serve(
        self,
        inside: socket.socket,
        address: Address,
        rule: Rule,
        connect: Callable[[], Awaitable[socket.socket]],
        carried: Carried,
        fields: dict[str, object],
    ) -> None:
        """Carry one connection of the app by a grant with HTTP; closes it. Raises OSError where it breaks."""
        from libos.net.http.session import Session

        await Session(self, rule, address, connect, carried, fields).run(inside)

    async def outside_context(self, ca: str | None) -> ssl.SSLContext:
        """What verifies a server outside, besides the system's authorities by those in the file `ca`: as that
        was when it was first asked for in this world, which is before the app can change it.

        Raises OSError where the file cannot be read or holds no certificate.
        """
        if ca not in self._contexts:
            self._contexts[ca] = await trio.to_thread.run_sync(trust.outside_context, ca)
        return self._contexts[ca]

    def tap(self, fields: dict[str, object]) -> Tap | None:
        """What looks at the bytes that go out by a grant without HTTP; None where there are no secrets."""
        scanner = self.secrets.scanner("the bytes of a connection")
        return None if scanner is None else _Told(scanner, self, fields)

    def check_datagram(self, data: bytes, fields: dict[str, object]) -> None:
        """Judge a datagram that is about to go out. Raises PlaceholderError, which has been told."""
        try:
            self.secrets.check(data, "a datagram")
        except PlaceholderError as error:
            self.tell_placeholder(error, fields)
            raise

    def check_name(self, host: str, fields: dict[str, object]) -> None:
        """Judge a name before it is asked for outside. Raises PlaceholderError, which has been told."""
        try:
            self.secrets.check(host.encode(), "a name")
        except PlaceholderError as error:
            self.tell_placeholder(error, fields)
            raise

    def tell_placeholder(self, error: PlaceholderError, fields: dict[str, object]) -> None:
        """Report a placeholder where it may not be."""
        self.observe("secret.refused", {**fields, "secret": error.secret, "where": error.where})


class _Told:
    """A scanner whose finds are told."""

    def __init__(self, scanner: Scanner, web: Web, fields: dict[str, object]) -> None:
        self._scanner = scanner
        self._web = web
        self._fields = fields

    def look(self, data: memoryview) -> None:
        try:
            self._scanner.look(data)
        except PlaceholderError as error:
            self._web.tell_placeholder(error, self._fields)
            raise

    def passed(self, data: memoryview) -> None:
        self._scanner.passed(data)
