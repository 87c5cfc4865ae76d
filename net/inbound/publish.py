"""Publications: a port of the app, reached from an address of the host.

Rules:
- The outside listens on 127.0.0.1 unless something else was said, and is bound before the app starts: an
  address in use is an error then, and not a surprise later.
- For each connection a socket made inside is connected to the app's port, at 127.0.0.1 and then at ::1;
  the app sees a peer on its own loopback. Where it does not listen, the outside is reset: refusing is no
  longer possible.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from libos.errors import HostError
from libos.net.address import Address, Literal, check_port
from libos.net.naming.names import is_localhost
from libos.net.outbound.outside import connect_socket
from libos.net.sockets import OpenSockets, family_of, listen_at, tune
from libos.net.watcher import Watcher

# Seconds for the app to take a connection whose place in its backlog is not free.
_INSIDE_SECONDS = 30.0
# Sockets that are asked for at once.
_SPARE = 8
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Publication:
    """The app's `port` is reached at `host` and `outside_port` outside; 0 stands for any free port."""

    port: int
    host: str = "127.0.0.1"
    outside_port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.outside_port}"


def parse_publication(port: int, text: str) -> Publication:
    """Read where `port` is published: `8000`, `127.0.0.1:8000`, `0.0.0.0:8000` or `[::1]:8000`; port 0 is
    any free one.

    Raises ValueError with one sentence that says what is wrong.
    """
    check_port(port)
    host, separator, number = text.rpartition(":")
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) <= 65535):
        raise ValueError(f'"{text}": write IP:PORT, as in 127.0.0.1:8000, with a port up to 65535')
    if not separator:
        return Publication(port, outside_port=int(number))
    return Publication(port, str(_literal(host, text)), int(number))


def _literal(host: str, text: str) -> Literal:
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        literal = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f'"{text}": "{host}" is not an IP address') from None
    if bracketed != (literal.version == 6) or "%" in host:
        raise ValueError(f'"{text}": write an IPv6 address in brackets and without a zone, as in [::1]:8000')
    return literal


def conflict(publication: Publication, address: Address) -> str | None:
    """Why the app's port can never be reached beside the grant of `address`, or None where it can."""
    if address.port != publication.port or not (address.host in _LOOPBACK or is_localhost(address.host)):
        return None
    return (
        f"port {publication.port} is published, and {address} is dialed at the same place inside: "
        "connections would go round in circles; let the app listen on another port"
    )


class Published:
    """A publication that listens outside. The constructor raises HostError where it cannot."""

    def __init__(self, publication: Publication) -> None:
        self._listener = socket.socket(family_of(publication.host), socket.SOCK_STREAM)
        try:
            listen_at(self._listener, publication.host, publication.outside_port)
        except OSError as error:
            self._listener.close()
            raise HostError(_refused(publication, error)) from error
        # With the port that was chosen where any was asked for.
        self.publication = Publication(publication.port, publication.host, self._listener.getsockname()[1])

    @property
    def listener(self) -> socket.socket:
        """The listening socket, outside."""
        return self._listener

    def close(self) -> None:
        """Stop listening. May be called again."""
        self._listener.close()


def _refused(publication: Publication, error: OSError) -> str:
    cannot = f"port {publication.port} cannot be published at {publication}"
    if error.errno == errno.EADDRINUSE:
        return f"{cannot}: something listens there already; publish another port"
    if error.errno == errno.EACCES:
        return (
            f"{cannot}: this user may not listen below "
            "net.ipv4.ip_unprivileged_port_start; publish a higher port"
        )
    return f"{cannot}: {error.strerror}"


def peer_of(connection: socket.socket) -> str:
    """The literal address of a connection's other end; empty where it has gone already."""
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""


class AppPort:
    """Connects to one port of the app. Remembers at which loopback address the app was found."""

    def __init__(self, port: int, open_sockets: OpenSockets, watcher: Watcher) -> None:
        self._port = port
        self._open_sockets = open_sockets
        self._watcher = watcher
        self._hosts = list(_LOOPBACK)
        self._spare: list[socket.socket] = []

    def close(self) -> None:
        """Close the spare sockets, once nobody connects any more."""
        while self._spare:
            self._spare.pop().close()

    async def connect(self) -> socket.socket:
        """A tuned connection to the app. Raises OSError: ECONNREFUSED where it does not listen, EPIPE, …"""
        for host in tuple(self._hosts):
            try:
                connection = await self._connect(host)
            except ConnectionRefusedError as error:
                refused = error
                continue
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT:  # a kernel without IPv6
                    continue
                raise
            if host != self._hosts[0]:
                self._hosts.reverse()
                self.close()
            return connection
        raise refused

    async def _connect(self, host: str) -> socket.socket:
        connection = await self._socket(family_of(host))
        try:
            await connect_socket(connection, host, self._port, _INSIDE_SECONDS)
            tune(connection)
        except ConnectionRefusedError:
            # On loopback a refusal is there before connect(2) returns, and the watcher has not run since.
            self._watcher.own_ports.add(connection.getsockname()[1])
            connection.close()
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    async def _socket(self, family: int) -> socket.socket:
        """A socket made inside: a spare one, since asking init takes longer than all the rest."""
        if self._spare and family == self._spare[-1].family:
            return self._spare.pop()
        count = _SPARE if family == family_of(self._hosts[0]) else 1
        made = await self._open_sockets([(family, socket.SOCK_STREAM, 0)] * count)
        connection = made.pop()
        if self._spare and self._spare[-1].family != family:  # found elsewhere in the meantime
            self.close()
        self._spare += made
        return connection
