"""A program that runs while its system is replaced below it, and put back when the new one is not well.

python examples/lineage/coreos/update.py
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import libos
from libos.slots import SlotRoot, Slots

HERE = Path(__file__).parent
# Says the version of the system whenever it is asked.
APP = "while read -r _; do cat /system/version; done"


def manifest(root: SlotRoot) -> dict[str, Any]:
    """The app, with the slot that is used as its system."""
    command = ["sh", "-c", APP]
    return {"include": ["base"], "app": {"command": command}, "mount": [{"at": "/system", "node": root}]}


async def is_well(app: libos.App) -> bool:
    """Whether the version that the app sees now is well, by its own word."""
    asked = await app.exec(["sh", "/system/health"], stdout=subprocess.DEVNULL)
    status = await asked.wait()
    await asked.aclose()
    return status.returncode == 0


async def main(folder: Path) -> None:
    """Two updates, of which the second one is not well."""
    key = Ed25519PrivateKey.generate()
    slots = Slots(folder)
    slots.install(HERE / "one", key)
    root = SlotRoot(slots, key.public_key())
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(manifest(root), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for version in ("one", "two", "broken"):
            if version != "one":
                slots.install(HERE / version, key)
                await root.switch(lambda: is_well(app))
            else:
                slots.succeeded(root.slot)
            assert app.stdin is not None
            assert app.stdout is not None
            await app.stdin.send_all(b"\n")
            said = (await app.stdout.receive_some()).decode().strip()
            print(f"after {version}: slot {root.slot}, the app sees {said}")
        await app.kill()
    root.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        trio.run(main, Path(name))
