"""A view that changes while the program runs: a folder is granted, narrowed, and taken back.

    python examples/live/live.py

The program is a shell loop that looks at /data each time it is told to. Nobody tells it what happens to
/data: it sees what a program sees.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import trio

import libos

LOOP = """
while read -r step; do
    echo "$step:"
    cat /data/notes.txt
    cat /data/key.pem
    echo "a line from the program" >> /data/notes.txt
    cat <&5 || exec 5< /data/notes.txt
    echo --
done
"""
MANIFEST = {"include": ["base"], "app": {"command": ["bash", "-c", LOOP]}}


async def run(folder: str) -> int:
    """Change the view between one look of the program and the next."""
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(
            MANIFEST, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        await look(app, "before")
        grant = await app.mount("/data", libos.host(folder, mode="read-write", revocable=True))
        await look(app, "granted, read-write")
        await grant.narrow(hide=["*.pem"])
        await look(app, "narrowed: no keys")
        await grant.narrow(read_only=True)
        await look(app, "narrowed: read-only")
        await grant.revoke()
        await look(app, "revoked, with a file still open")
        assert app.stdin is not None
        await app.stdin.aclose()
        status = await app.wait()
        await app.aclose()
    return status.returncode


async def look(app: libos.App, step: str) -> None:
    """Have the program look once, and print what it says."""
    assert app.stdin is not None
    assert app.stdout is not None
    await app.stdin.send_all(step.encode() + b"\n")
    said = b""
    while not said.endswith(b"--\n"):
        said += await app.stdout.receive_some()
    print(said.decode().removesuffix("--\n"))


def main() -> int:
    """Make the folder, and show what came into it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "notes.txt").write_text("a note\n")
        (folder / "key.pem").write_text("a key\n")
        status = trio.run(run, name)
        print(f"on the host, notes.txt has {len((folder / 'notes.txt').read_text().splitlines())} lines")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
