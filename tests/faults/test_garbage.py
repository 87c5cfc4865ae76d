"""A keeper and an init that answer garbage: truncated, of wrong types, with descriptors too many, too few and
wrong ones, twice, with ids that nobody has. One clear error or a lost app, and no descriptor is left."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import trio
from garbage import GARBAGE, Garbage, entry

import libos
from libos.worlds import keeping

pytestmark = pytest.mark.system

NULL = subprocess.DEVNULL
# Seconds for one supervisor: nothing may be waited for that garbage stood in the place of.
PATIENCE = 30
KEEPERS = ("ready", "world")
INITS = ("network", "spawned", "exit", "hearing", "sockets")


def manifest() -> dict[str, object]:
    return {
        "libos": 1,
        "include": ["base"],
        "app": {"command": ["true"]},
        "dial": [{"to": "tcp!127.0.0.1!9"}],
        "listen": [{"port": 8000, "publish": False}],
    }


async def one(event: str, garbage: Garbage) -> None:
    """One supervisor, an app before and one that meets the garbage; what must come of it."""
    try:
        async with libos.Supervisor(spare=False) as supervisor:
            bystander = await supervisor.start(
                {**manifest(), "app": {"command": ["sleep", "100"]}}, stdin=NULL, stdout=NULL, stderr=NULL
            )
            try:
                app = await supervisor.start(manifest(), stdin=NULL, stdout=NULL, stderr=NULL)
                assert (await app.wait()).reason in ("exit", "lost")
            except libos.LibosError as error:
                assert len(str(error).splitlines()) == 1
            if event in INITS:
                assert bystander.status is None  # it is nobody's matter but that world's
                third = await supervisor.start(manifest(), stdin=NULL, stdout=NULL, stderr=NULL)
                assert (await third.wait()).returncode == 0
    except libos.LibosError as error:
        assert event == "ready", error
        assert str(error)


@pytest.mark.parametrize("event", [*KEEPERS, *INITS])
async def test_garbage_is_one_clear_error(
    event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for garbage in GARBAGE:
        monkeypatch.setattr(keeping, "_ENTRY", entry(tmp_path / "entry.py", event, garbage))
        with trio.move_on_after(PATIENCE) as scope:
            await one(event, garbage)
        assert not scope.cancelled_caught, garbage
        assert set(os.listdir("/proc/self/fd")) <= before, garbage
