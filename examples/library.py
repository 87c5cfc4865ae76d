"""libos as a library: an app's output is streamed while a Python function answers one of its files.

    python examples/library.py

The app is a shell loop. It reads /clock/now three times; each open of that file calls `now` in this process.
"""

from __future__ import annotations

import itertools
import subprocess

import trio

import libos

_numbers = itertools.count(1)


async def now() -> str:
    """The file's content, made at each open. It may wait; only the reader waits with it."""
    await trio.sleep(0.01)
    return f"answer {next(_numbers)}, at {trio.current_time():.0f} on the supervisor's clock\n"


MANIFEST = {
    "libos": 1,
    "include": ["base"],
    "app": {"command": ["sh", "-c", "for i in 1 2 3; do cat /clock/now; done; ls -l /clock"]},
    "mount": [{"at": "/clock/now", "function": now}],
}


async def main() -> int:
    """Run the app and print what it writes, as it writes it."""
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(MANIFEST, stdout=subprocess.PIPE)
        assert app.stdout is not None
        async for chunk in app.stdout:
            print(f"the app wrote {chunk.decode()!r}")
        status = await app.wait()
    print(f"it ended with {status.returncode}")
    return status.returncode


if __name__ == "__main__":
    raise SystemExit(trio.run(main))
