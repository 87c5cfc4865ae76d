"""Sockets inside that lead to one port of the app.

The app is looked for at 127.0.0.1 and then at ::1, and where it was found last is asked first; it sees a peer
on its own loopback. Sockets of TCP are asked for ahead, since asking init takes longer than all the rest.
"""

from __future__ import annotations

import errno
import os
import socket

from libos.net.inbound.publication import LOOPBACK
from libos.net.outbound.outside import connect_socket
from libos.net.sockets import OpenSockets, family_of, tune
from libos.net.watcher import Watcher

# Seconds for the app to take a connection whose place in its backlog is not free.
_INSIDE_SECONDS = 30.0
# Sockets that are asked for at once.
_SPARE = 8


class AppPort:
    """Connects to one port of the app. Remembers at which loopback address the app was found."""

    def __init__(self, port: int, open_sockets: OpenSockets, watcher: Watcher) -> None:
        self._port = port
        self._open_sockets = open_sockets
        self._watcher = watcher
        self._hosts = list(LOOPBACK)
        self._spare: list[socket.socket] = []

    def close(self) -> None:
        """Close the spare sockets, once nobody connects any more."""
        while self._spare:
            self._spare.pop().close()

    async def connect(self) -> socket.socket:
        """A tuned connection to the app. Raises OSError: ECONNREFUSED where it does not listen, EPIPE, …"""
        return await self._found(None)

    async def send(self, datagram: bytes) -> socket.socket:
        """A UDP socket that is connected to the app and has sent it this. Raises OSError as `connect`."""
        return await self._found(datagram)

    async def _found(self, datagram: bytes | None) -> socket.socket:
        refused = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        for host in tuple(self._hosts):
            try:
                found = await (self._connect(host) if datagram is None else self._send(host, datagram))
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
            return found
        raise refused

    async def _connect(self, host: str) -> socket.socket:
        connection = await self._socket(family_of(host))
        try:
            await connect_socket(connection, host, self._port, _INSIDE_SECONDS)
            tune(connection)
        except ConnectionRefusedError:
            # On loopback a refusal is there before connect(2) returns, and the watcher has not run since.
            self._watcher.own_ports.add(("tcp", connection.getsockname()[1]))
            connection.close()
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    async def _send(self, host: str, datagram: bytes) -> socket.socket:
        (inside,) = await self._open_sockets([(family_of(host), socket.SOCK_DGRAM, 0)])
        try:
            inside.setblocking(False)
            inside.connect((host, self._port))
            inside.send(datagram)
            # On loopback the refusal of a datagram is there before send(2) returns: udp(7), SO_ERROR.
            number = inside.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number == errno.ECONNREFUSED:
                self._watcher.own_ports.add(("udp", inside.getsockname()[1]))
            if number:
                raise OSError(number, os.strerror(number))
        except BaseException:
            inside.close()
            raise
        return inside

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


class AppPorts:
    """The ports of one app to which connections were asked for, one by one."""

    def __init__(self, open_sockets: OpenSockets, watcher: Watcher) -> None:
        self._open_sockets = open_sockets
        self._watcher = watcher
        self._ports: dict[int, AppPort] = {}

    async def connect(self, port: int) -> socket.socket:
        """A tuned connection to a port. Raises OSError as `AppPort.connect`."""
        if port not in self._ports:
            self._ports[port] = AppPort(port, self._open_sockets, self._watcher)
        return await self._ports[port].connect()

    def close(self) -> None:
        """Close the spare sockets of all."""
        for port in self._ports.values():
            port.close()
