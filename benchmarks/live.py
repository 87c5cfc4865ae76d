"""Changing a running world: a host directory bound into it, and a served one taken back."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import libos
from benchmarks.measure import Figure, Goal, interleaved
from benchmarks.worker import in_world

ROUNDS = 100


async def measure(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """A live bind until the call returns; a revoke until the app's read fails."""
    folder = scratch / "live"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_bytes(bytes(1 << 20))
    for path in (folder, folder / "file"):
        path.chmod(0o755)
    async with in_world(supervisor) as inside:
        app = inside.app
        assert app is not None

        async def bind() -> float:
            begin = perf_counter()
            grant = await app.mount("/live", libos.host(str(folder)))
            took = perf_counter() - begin
            await grant.revoke()
            return took

        async def revoke() -> float:
            grant = await app.mount("/live", libos.host(str(folder), revocable=True))
            await inside.ask("hold", "/live/file")
            await inside.tell("read_until_it_fails")
            begin = perf_counter()
            await grant.revoke()
            return await inside.answer() - begin

        bound = await interleaved({"a host directory": bind}, ROUNDS, 1000)
        revoked = await interleaved({"a served directory": revoke}, ROUNDS, 1000)
    return [
        Figure("mount in a running world", "ms", bound, Goal(1.0, "at most", "median")),
        Figure("revoke, to the first failing read", "ms", revoked, Goal(2.0, "at most", "median")),
    ]
