"""Random numbers from a seed: getrandom(2) of a program is answered by Python, the same each time.

python examples/lineage/zerovm/chance.py SEED      prints what a program draws
"""

from __future__ import annotations

import hashlib
import sys

import trio

import libos
from libos import Answer, Monitor, SystemCall

# A program that draws numbers as most do: os.urandom, and all of `random` and `secrets`, call getrandom(2).
DRAWS = "import random, secrets; print(random.randrange(10**9), secrets.token_hex(4))"
# Bytes of one answer: what is asked for beyond is asked for again, as getrandom(2) lets it be.
_MOST = 256


def seeded(seed: str) -> Monitor:
    """A monitor that answers getrandom(2) from a seed: the same bytes in the same order, whoever asks."""
    monitor = Monitor(timeout=30)
    given = 0

    @monitor.on("getrandom")
    async def drawn(call: SystemCall) -> Answer:
        nonlocal given
        size = min(call.arguments[1], _MOST)
        data = hashlib.shake_256(f"{seed} {given}".encode()).digest(size)
        given += 1
        await call.write(call.arguments[0], data)
        return size

    return monitor


async def main(seed: str) -> int:
    """Run the program above with a seed."""
    manifest = {"include": ["python"], "app": {"command": ["python3", "-c", DRAWS]}}
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(manifest, on_syscall=seeded(seed))
        return (await app.wait()).returncode


if __name__ == "__main__":
    sys.exit(trio.run(main, sys.argv[1]))
