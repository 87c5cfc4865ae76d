"""A spare world shows what a new one would show, or is not used."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from libos.manifest import from_mapping
from libos.plan import Plan, lower
from libos.supervisor import Supervisor

pytestmark = pytest.mark.system


def plan_for(folder: Path, *command: str, **more: Any) -> Plan:
    manifest = {
        "libos": 1,
        "include": ["base"],
        "app": {"command": list(command)},
        "mount": [{"at": "/data", "host": str(folder)}],
    }
    return lower(from_mapping(manifest | more))


async def output_of(supervisor: Supervisor, plan: Plan) -> str:
    app = await supervisor.start(plan, stdout=subprocess.PIPE)
    assert app.stdout is not None
    text = b"".join([part async for part in app.stdout]).decode()
    assert (await app.wait()).returncode == 0
    await app.aclose()
    return text


async def test_a_second_start_of_one_view_takes_the_spare(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("first")
    async with Supervisor() as supervisor:
        assert await output_of(supervisor, plan_for(tmp_path, "cat", "/data/name")) == "first"
        spare = await supervisor.spare_ready()
        assert spare is not None
        assert await output_of(supervisor, plan_for(tmp_path, "cat", "/data/name")) == "first"
        assert spare.name is not None  # it was begun


async def test_a_replaced_directory_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "name").write_text("first")
    async with Supervisor() as supervisor:
        assert await output_of(supervisor, plan_for(folder, "cat", "/data/name")) == "first"
        spare = await supervisor.spare_ready()
        folder.rename(tmp_path / "old")
        folder.mkdir()
        (folder / "name").write_text("second")
        assert await output_of(supervisor, plan_for(folder, "cat", "/data/name")) == "second"
        assert spare is not None and spare.name is None


async def test_another_view_does_not_take_the_spare(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    async with Supervisor() as supervisor:
        for name in ("a", "b", "b", "a"):
            assert await output_of(supervisor, plan_for(tmp_path / name, "cat", "/data/name")) == name
            assert await supervisor.spare_ready() is not None


async def test_a_world_that_publishes_a_port_is_never_a_spare(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, "true", listen=[{"port": 8000, "publish": "127.0.0.1:0"}])
    async with Supervisor() as supervisor:
        await output_of(supervisor, plan)
        assert await supervisor.spare_ready() is None


async def test_no_spare_where_none_is_wanted(tmp_path: Path) -> None:
    async with Supervisor(spare=False) as supervisor:
        await output_of(supervisor, plan_for(tmp_path, "true"))
        assert await supervisor.spare_ready() is None


async def test_a_spare_emits_no_event_before_it_is_begun(tmp_path: Path) -> None:
    async with Supervisor() as supervisor, supervisor.events() as events:
        await output_of(supervisor, plan_for(tmp_path, "true"))
        await supervisor.spare_ready()
        await output_of(supervisor, plan_for(tmp_path, "true"))
        kinds = []
        async for event in events:
            if event.kind.startswith("app."):
                kinds.append((event.kind, event.world))
            if len(kinds) == 4:
                break
        assert kinds == [
            ("app.start", "true-1"),
            ("app.exit", "true-1"),
            ("app.start", "true-1"),
            ("app.exit", "true-1"),
        ]
