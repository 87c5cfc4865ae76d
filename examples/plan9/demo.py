"""A union of bin directories, and a namespace that prints itself back.

    python examples/plan9/demo.py

1. The world of plan9.ns: three bin directories seen as one.
2. Its namespace as text, run again: the second world shows the same.
3. An app that rearranges what it holds, and then gives it up, through /mnt/ns/ctl. Nothing comes back.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import trio

import libos

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {"PATH": "/bin", "here": str(HERE)}

LOOK = """hello; report; cat /motd; pwd
echo 'echo made inside' > /bin/made && chmod +x /bin/made && made
mkdir /usr/nothing 2>&1
mv /bin/hello /bin/made 2>&1
echo "/bin has $(ls /bin | wc -l) names, $(ls /bin | sort -u | wc -l) of them different"
test -e /host-bin/ls && test ! -e /host-bin/hello && echo "/host-bin is the host's own"
"""


async def output(supervisor: libos.Supervisor, file: Path) -> tuple[str, str]:
    """What the world of a namespace file shows, and its namespace as text."""
    manifest = libos.load_namespace(file, environment=ENVIRONMENT, command=["sh", "-c", LOOK])
    app = await supervisor.start(manifest, stdout=subprocess.PIPE)
    assert app.stdout is not None
    shown = b"".join([chunk async for chunk in app.stdout])
    await app.wait()
    return shown.decode(), app.plan.namespace.text(app.plan.directory)


async def union(supervisor: libos.Supervisor) -> None:
    """Three directories as one."""
    shown, _ = await output(supervisor, HERE / "plan9.ns")
    print(shown, end="")


async def printed_back(supervisor: libos.Supervisor) -> None:
    """The text of a namespace recreates it."""
    first, text = await output(supervisor, HERE / "plan9.ns")
    print(text, end="")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "printed.ns"
        file.write_text(text)
        second, again = await output(supervisor, file)
    print(f"run again, the world is {'the same' if second == first else 'ANOTHER'}")
    print(f"printed again, the text is {'the same' if again == text else 'ANOTHER'}")


DROP = """ls /data
echo bind /data /here-too > /mnt/ns/ctl && ls /here-too
grep -c data /mnt/ns/ns
echo unmount /data > /mnt/ns/ctl && ls /data
ls /here-too
grep -c data /mnt/ns/ns
echo unmount /data > /mnt/ns/ctl || echo 'what is dropped cannot be dropped again, nor taken back'
"""


async def dropped(supervisor: libos.Supervisor) -> None:
    """An app drops its own rights."""
    manifest = {
        "include": ["base"],
        "app": {"command": ["bash", "-c", DROP], "introspect": True, "control": True},
        "mount": [{"at": "/data", "host": str(HERE / "mine")}],
    }
    app = await supervisor.start(manifest, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert app.stdout is not None
    async for chunk in app.stdout:
        print(chunk.decode(), end="")
    await app.wait()


PARTS = (union, printed_back, dropped)


async def main() -> None:
    async with libos.Supervisor() as supervisor:
        for part in PARTS:
            print(f"--- {part.__doc__}")
            await part(supervisor)


if __name__ == "__main__":
    trio.run(main)
