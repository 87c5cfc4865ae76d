"""A careless and a careful program meet the same errors, short reads and delays.

    python examples/chaos/chaos.py [SEED]

Both copy records from one folder to another and count them. What goes wrong comes from the seed alone, so a
run that shows something can be run again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import trio

import libos

RECORDS = 200
CARELESS = """
import os
source = os.open("/in/records", os.O_RDONLY)
target = os.open("/out/records", os.O_CREAT | os.O_WRONLY)
os.write(target, os.read(source, 1 << 20))
print("careless: done")
"""
CAREFUL = """
import os, time
def again(work):
    for attempt in range(50):
        try:
            return work()
        except OSError as error:
            last = error
            time.sleep(0.001)
    raise last
source = again(lambda: os.open("/in/records", os.O_RDONLY))
target = again(lambda: os.open("/out/new", os.O_CREAT | os.O_WRONLY))
offset = 0
while data := again(lambda: os.pread(source, 1000, offset)):
    taken = again(lambda: os.pwrite(target, data, offset))
    offset += taken
again(lambda: os.fsync(target))
os.close(target)
again(lambda: os.rename("/out/new", "/out/records"))
print("careful: done")
"""


async def copy(supervisor: libos.Supervisor, program: str, source: str, target: str, seed: int) -> str:
    """Run one of both where things go wrong, and tell what came of it."""
    fault = {"seed": seed, "rate": 0.2, "short": 0.5, "delay": "1ms", "match": ["/records", "/new"]}
    errors = ["EIO", "ENOSPC"]
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "-I", "-S", "-c", program]},
        "mount": [
            {"at": "/in", "host": source, "fault": fault},
            {"at": "/out", "host": target, "mode": "read-write", "fault": {**fault, "errors": errors}},
        ],
    }
    app = await supervisor.start(manifest, stderr=subprocess.PIPE)
    assert app.stderr is not None
    said = b"".join([chunk async for chunk in app.stderr]).decode().strip()
    status = await app.wait()
    await app.aclose()
    last = f" ({said.splitlines()[-1]})" if said else ""
    return f"status {status.returncode}, {arrived(target)} of {RECORDS} records{last}"


def arrived(target: str) -> int:
    """How many records arrived; takes them away."""
    path = Path(target, "records")
    count = len(path.read_text().splitlines()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


async def run(source: str, target: str, seed: int) -> None:
    """Both, one after the other."""
    async with libos.Supervisor() as supervisor:
        for program in (CARELESS, CAREFUL):
            print(" ", await copy(supervisor, program, source, target, seed), flush=True)


def main() -> None:
    """Make the folders and run."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as target:
        Path(source, "records").write_text("".join(f"record {each}\n" for each in range(RECORDS)))
        trio.run(run, source, target, seed)


if __name__ == "__main__":
    main()
