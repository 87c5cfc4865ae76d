"""Names whose answers change, for test_ways_out.py; run in namespaces in which PUBLIC is an address of the
loopback, and in which 127.0.0.1 is asked for all names (resolv.conf(5)).

It prints what programs in two worlds heard at each of their connections: in one that may dial the names, and
in one whose grants let them lead to private addresses; and how many times each name had been looked up when
the first of them ended.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import sys
import threading
from collections import Counter
from typing import Any

import trio

import libos

PUBLIC, PORT = "1.1.1.1", 8080
# What is answered at the first look-up, at the second, and so on, for IPv4 and for IPv6.
TURNS = [
    ([PUBLIC], []),
    (["127.0.0.1"], []),
    ([PUBLIC, "127.0.0.1"], ["::1"]),
    ([], ["::ffff:127.0.0.1"]),
    (["127.0.0.1", PUBLIC], []),
    (["0.0.0.0"], ["::1"]),
    ([PUBLIC], []),
]
NAMES = ("evil.example", "any.pattern.example")
# The types A and AAAA of RFC 1035 and RFC 3596, and the length of a head.
_A, _HEAD = 1, 12
ASKING = """
import json, socket, sys
heard = []
for name in sys.argv[3:]:
    for _ in range(int(sys.argv[2])):
        try:
            with socket.create_connection((name, int(sys.argv[1]))) as made:
                heard.append(made.makefile().read())
        except ConnectionResetError:
            heard.append("reset")
print(json.dumps(heard))
"""


def say(host: str, word: bytes) -> None:
    """Serve a word at an address, to the end of this process."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, PORT), family=family)

    def serve() -> None:
        while True:
            client, _ = server.accept()
            with client:
                client.sendall(word)

    threading.Thread(target=serve, daemon=True).start()


class Answering:
    """A name server that has for each look-up the next of TURNS. RFC 1035, section 4.1."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[bytes, int]] = Counter()
        self._server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._server.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            question, client = self._server.recvfrom(512)
            end = question.index(b"\0", _HEAD) + 5
            name, kind = question[_HEAD : end - 4], int.from_bytes(question[end - 4 : end - 2])
            turn = TURNS[self.asked[name, kind] % len(TURNS)]
            self.asked[name, kind] += 1
            records = [ipaddress.ip_address(each).packed for each in turn[kind != _A]]
            head = question[:2] + b"\x81\x80\0\1" + len(records).to_bytes(2) + bytes(4)
            answers = [
                b"\xc0\x0c" + kind.to_bytes(2) + b"\0\1" + bytes(4) + len(each).to_bytes(2) + each
                for each in records
            ]
            self._server.sendto(head + question[_HEAD:end] + b"".join(answers), client)


async def heard(supervisor: libos.Supervisor, *, private: bool) -> Any:
    dials = [
        {"to": f"tcp!{name}!{PORT}", "private": private} for name in ("evil.example", "*.pattern.example")
    ]
    command = ["python3", "-c", ASKING, str(PORT), str(len(TURNS)), *NAMES]
    app = await supervisor.start(
        {"libos": 1, "include": ["python"], "app": {"command": command}, "dial": dials},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert app.stdout is not None
    async with app.stdout:
        return json.loads(b"".join([part async for part in app.stdout]))


async def main() -> None:
    server = Answering()
    say(PUBLIC, b"public")
    say("127.0.0.1", b"private")
    say("::1", b"private")
    async with libos.Supervisor(spare=False) as supervisor:
        held = await heard(supervisor, private=False)
        asked = max(server.asked.values())
        live = await heard(supervisor, private=True)
    print(json.dumps({"held": held, "live": live, "asked": asked}))


if __name__ == "__main__":
    trio.run(main)
    sys.exit()
