"""The network of a world as init makes it, and the sockets that it opens there for the supervisor.

A flat world has one network namespace. A routed world has two: that of the app, in which init and all
programs live, and the gate's, which is entered for the moment in which a socket is made there: init has one
thread, and the next program is started only after it is back. A socket stays where it was made.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

from libos.kernel import namespaces

# The sides of a world's network, as requests name them. In a flat world both are the same.
APP, GATE = "app", "gate"

# netlink(7): nlmsghdr is length, type, flags, sequence, port; an acknowledgement's body begins with an errno.
_HEADER = struct.Struct("=IHHII")
_ERRNO = struct.Struct("=i")
_NLMSG_ERROR = 2

Messages = Sequence[tuple[str, bytes, bool]]


class Network:
    """The network of this process's world. The constructor sets it up, as `setup` says. Raises OSError that
    names the step."""

    def __init__(self, setup: dict[str, Any], proc_fd: int, *, routed: bool) -> None:
        self._sides: dict[str, int] = {}
        if routed:
            self._divide(setup["messages"], setup["sysctls"], proc_fd)
            return
        set_up(setup["messages"]["flat"])
        _set_sysctls(proc_fd, setup["sysctls"]["flat"])

    def _divide(self, messages: dict[str, Messages], sysctls: dict[str, Any], proc_fd: int) -> None:
        """Make the gate's namespace and the link to it. Sysctls come first: they hold for new interfaces."""
        app_fd = self._sides[APP] = os.open("self/ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
        _set_sysctls(proc_fd, sysctls["app"])
        with _netlink() as app:
            namespaces.unshare(namespaces.CLONE_NEWNET)
            self._sides[GATE] = os.open("self/ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
            _set_sysctls(proc_fd, sysctls["gate"])
            with _netlink() as gate:
                _replay(app, messages["link"])
                _replay(gate, messages["gate"])
                _replay(app, messages["app"])
        namespaces.setns(app_fd, namespaces.CLONE_NEWNET)

    def open_sockets(self, kinds: Sequence[Sequence[int]], side: str = APP) -> list[int]:
        """Open sockets on one side, non-blocking, for the supervisor to use; all or none. socket(2)."""
        if side == APP or not self._sides:
            return _open(kinds)
        namespaces.setns(self._sides[side], namespaces.CLONE_NEWNET)
        try:
            return _open(kinds)
        finally:
            namespaces.setns(self._sides[APP], namespaces.CLONE_NEWNET)


def set_up(messages: Messages) -> None:
    """Set up the network namespace that this process is in. Raises OSError that names the step."""
    with _netlink() as netlink:
        _replay(netlink, messages)


def decoded(setup: dict[str, Any]) -> dict[str, Any]:
    """What a supervisor sends as a world's network, once for all worlds: messages come as hex."""
    messages = {
        name: [(purpose, bytes.fromhex(text), required) for purpose, text, required in each]
        for name, each in setup["messages"].items()
    }
    return {"messages": messages, "sysctls": setup["sysctls"]}


def _open(kinds: Sequence[Sequence[int]]) -> list[int]:
    opened: list[int] = []
    try:
        for family, kind, protocol in kinds:
            made = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            opened.append(made.detach())
    except OSError:
        for fd in opened:
            os.close(fd)
        raise
    return opened


def _netlink() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)


def _replay(netlink: socket.socket, messages: Messages) -> None:
    """Replay netlink messages (purpose, bytes, required) and check each acknowledgement. netlink(7).

    All go out in one packet, which costs one system call; the kernel answers them in order.
    """
    netlink.send(b"".join(data for _, data, _ in messages))
    answers: list[int] = []
    while len(answers) < len(messages):
        answers += _errors(netlink.recv(65_536))
    for (purpose, _, required), number in zip(messages, answers, strict=True):
        if number and required:
            raise OSError(number, f"{purpose}: {os.strerror(number)}")


def _errors(data: bytes) -> list[int]:
    """Give the errno of each acknowledgement in a buffer; 0 is success."""
    found = []
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        if kind == _NLMSG_ERROR:
            found.append(-_ERRNO.unpack_from(data, _HEADER.size)[0])
        data = data[(length + 3) & ~3 :]
    return found


def _set_sysctls(proc_fd: int, sysctls: list[tuple[str, str, bool]]) -> None:
    """Write sysctls (path below sys, value, required) of the network that this process is in."""
    for path, value, required in sysctls:
        try:
            fd = os.open(f"sys/{path}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc_fd)
        except OSError as error:
            if required:
                raise OSError(error.errno, f"sysctl {path}: {error.strerror}") from error
            continue
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
