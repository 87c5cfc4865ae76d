"""A client of `libos warden`: python client.py SOCKET 'SCRIPT'

Makes a container, runs the script in it, prints what it wrote, and destroys the container.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any


class Client:
    """One connection: a request a line, an answer a line."""

    def __init__(self, path: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(path)
        self._lines = self._sock.makefile("rb")

    def ask(self, request: str, **fields: Any) -> dict[str, Any]:
        """Say a request and give its answer. Raises RuntimeError with the service's text where it refuses."""
        self._sock.sendall(json.dumps({"version": 1, "request": request, **fields}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(
            self._lines.readline() or b'{"answer": "error", "text": "it ended"}'
        )
        if answer["answer"] == "error":
            raise RuntimeError(answer["text"])
        return answer

    def close(self) -> None:
        """Go away, as a client that died does."""
        self._lines.close()
        self._sock.close()


def main() -> None:
    """Run one script in a container of its own."""
    client = Client(sys.argv[1])
    handle = client.ask("create")["handle"]
    done = client.ask("run", handle=handle, script=sys.argv[2])
    sys.stdout.write(done["stdout"])
    sys.stderr.write(done["stderr"])
    client.ask("destroy", handle=handle)
    sys.exit(done["exit_status"])


if __name__ == "__main__":
    main()
