"""The programs of a world, as the kernel's /proc shows them: numbers, names, memory, who holds which socket.

Rules:
- All of it is read at the moment and may be over the next: a program that has ended meanwhile is left out.
- It reads files, which takes some 0.1 ms a program: `Finder` does so in a thread, once for all connections
  that wait to be told, and never more than a fiftieth of the time.
"""

from __future__ import annotations

import ipaddress
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import trio

from libos.kernel import procfs

if TYPE_CHECKING:
    from libos.net.carrier import Connection

OpenSockets = Callable[[int], list[tuple[int, int]]]

# Seconds between two searches, and how many times as long as the last search took.
_PAUSE, _SHARE = 0.05, 50.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
# What a socket is bound to that takes what comes to any address.
_ANY = ("0.0.0.0", "::")  # noqa: S104 - read, and never bound


class End(NamedTuple):
    """The app's end of a connection or of a flow: "tcp" or "udp", its address and its port."""

    network: str
    host: str
    port: int


@dataclass(frozen=True)
class Program:
    """One process of a world: its number on the host and inside, its name (proc(5), comm), and the bytes of
    it that are in memory, shared ones too."""

    host_pid: int
    pid: int
    name: str
    resident: int


def programs(init: int) -> list[Program]:
    """The processes of the world whose process 1 has this number on the host, without that one."""
    return [found for pid in procfs.below(init) if (found := program(pid)) is not None]


def holders(
    init: int, ends: Iterable[End], open_sockets: OpenSockets = procfs.open_sockets
) -> dict[End, Program]:
    """Who holds the sockets that are bound to these addresses and ports of the world; those of datagrams may
    be bound to every address. `open_sockets` is procfs's, by who may look."""
    wanted = set(ends)
    loose = {each.port: each for each in wanted if each.network == "udp"}
    inodes: dict[int, End] = {}
    for inode, end in _sockets(init):
        if end in wanted:
            inodes[inode] = end
        elif end.network == "udp" and end.host in _ANY and end.port in loose:
            inodes[inode] = loose[end.port]
    found: dict[End, Program] = {}
    for pid, inode in open_sockets(init) if inodes else ():
        held = inodes.get(inode)
        if held is not None and held not in found and (opener := program(pid)) is not None:
            found[held] = opener
    return found


class Finder:
    """Finds who opened each connection of one world, in its own time."""

    def __init__(self, init: int, open_sockets: OpenSockets = procfs.open_sockets) -> None:
        self._init = init
        self._open_sockets = open_sockets
        self._waiting: list[Connection] = []
        self._arrived = trio.Event()

    def opened(self, connection: Connection) -> None:
        """Take a connection to look for. Never waits."""
        if connection.kind == "dial":
            connection.who = {"pid": None, "program": None}
            self._waiting.append(connection)
            self._arrived.set()

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = trio.Event()
            waiting, self._waiting = self._waiting, []
            began = trio.current_time()
            ends = [_end(each) for each in waiting]
            found = await trio.to_thread.run_sync(
                holders, self._init, ends, self._open_sockets, abandon_on_cancel=True
            )
            for connection in waiting:
                if (program := found.get(_end(connection))) is not None:
                    connection.who = {"pid": program.pid, "program": program.name}
            await trio.sleep(max(_PAUSE, _SHARE * (trio.current_time() - began)))


def _end(connection: Connection) -> End:
    return End(str(connection.fields["address"])[:3], *connection.app_end)


def program(pid: int) -> Program | None:
    """The process to which the thread of this number on the host belongs; None where there is none."""
    try:
        with open(f"/proc/{pid}/status", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        with open(f"/proc/{pid}/statm") as file:
            resident = int(file.read().split()[1]) * _PAGE
    except OSError:
        return None
    return Program(pid, int(fields["NStgid"].split()[-1]), fields["Name"].strip(), resident)


def named(thread: int) -> tuple[int | None, str | None]:
    """The process of a thread by its number inside, and its name; None where it has ended."""
    try:
        with open(f"/proc/{thread}/status", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return None, None
    return int(fields["NStgid"].split()[-1]), fields["Name"].strip()


def _sockets(pid: int) -> Iterator[tuple[int, End]]:
    """The inode and the local end of each socket of a process's network: proc(5), /proc/net/tcp."""
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            with open(f"/proc/{pid}/net/{table}") as file:
                next(file)
                for line in file:
                    words = line.split()
                    host, _, port = words[1].partition(":")
                    yield int(words[9]), End(table[:3], _literal(host), int(port, 16))
        except (OSError, StopIteration):
            continue


def _literal(text: str) -> str:
    """An address as the kernel prints it: words of the machine's byte order, in hexadecimal."""
    count = len(text) // 8
    packed = struct.pack(f"={count}I", *(int(text[8 * at : 8 * at + 8], 16) for at in range(count)))
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
