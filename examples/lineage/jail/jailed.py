"""What a program in a jail finds: its name, and the processes in sight. Then it serves, if asked.

jailed.py [PORT]
"""

from __future__ import annotations

import json
import os
import socket
import sys


def command_lines() -> list[str]:
    """The command lines of all processes in sight but this one; "" where it may not be read."""
    seen = []
    for pid in os.listdir("/proc"):
        if pid.isdecimal() and int(pid) != os.getpid():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    seen.append(file.read().replace(b"\0", b" ").decode(errors="replace").strip())
            except OSError:
                seen.append("")
    return seen


def serve(port: int) -> None:
    """Answer each connection with a line, until the end of the world."""
    with socket.create_server(("0.0.0.0", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"from the jail\n")


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "hostname": socket.gethostname(),
                "processes": command_lines(),
                "pids": os.readlink("/proc/self/ns/pid"),
            }
        ),
        flush=True,
    )
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]))
