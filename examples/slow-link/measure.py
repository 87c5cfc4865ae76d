"""Runs in the world: how long is the link to the service, and what does it carry?"""

from __future__ import annotations

import socket
import statistics
from time import perf_counter

SERVICE = ("service.example", 9000)
ROUND_TRIPS = 10
# Bytes: 2.1 s at 8 Mbit/s. The first part fills the link and is not measured.
SIZE, FIRST = 2_000_000, 200_000
# A full packet carries 1,448 bytes of data in 1,514 that the link counts: headers of Ethernet, IP and TCP.
HEADERS = 1514 / 1448


def connected() -> tuple[socket.socket, float]:
    """A connection, and the seconds that it took to make."""
    began = perf_counter()
    connection = socket.create_connection(SERVICE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection, perf_counter() - began


def round_trip(connection: socket.socket) -> float:
    """Seconds until a byte has come back."""
    began = perf_counter()
    connection.sendall(b".")
    connection.recv(1)
    return perf_counter() - began


def download() -> float:
    """Mbit/s on the link while it is full."""
    connection, _ = connected()
    with connection:
        connection.sendall(f"{SIZE}\n".encode())
        got, began, first = 0, 0.0, 0
        while data := connection.recv(65536):
            got += len(data)
            if not began and got >= FIRST:
                began, first = perf_counter(), got
        return (got - first) * HEADERS * 8 / (perf_counter() - began) / 1e6


def main() -> None:
    """Print three figures."""
    connection, connecting = connected()
    with connection:
        trips = [round_trip(connection) for _ in range(ROUND_TRIPS)]
    print(f"connected in {connecting * 1000:.1f} ms")
    print(f"a round trip takes {statistics.median(trips) * 1000:.1f} ms")
    print(f"the link carries {download():.2f} Mbit/s")


main()
