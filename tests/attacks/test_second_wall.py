"""What the second wall and the covered /proc do in real worlds, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from worlds import Worlds

import libos
from libos.kernel import landlock
from libos.plan import walls

pytestmark = pytest.mark.system
pytest_plugins = ["running"]
with_landlock = pytest.mark.skipif(
    landlock.abi() < landlock.ABI_REFER, reason="this kernel has no Landlock from ABI 2 up"
)

WHITEOUT = "import os, stat\nos.mknod('whiteout', stat.S_IFCHR | 0o644, 0)\nprint('made')"
# What the kernel tells of itself and of others in /proc: world-readable, and no namespace divides it.
TELLING = ("keys", "key-users", "interrupts")
FOLDERS = ("acpi", "bus", "fs", "irq")


@with_landlock
def test_an_app_cannot_make_whiteouts_that_a_later_overlay_would_believe(
    as_user: Account, worlds: Worlds
) -> None:
    outside = as_user.run(as_user.python("-c", WHITEOUT))
    assert outside.stdout == "made\n", outside.stderr  # mknod(2): a whiteout takes no right
    assert stat.S_ISCHR((as_user.folder / "whiteout").stat().st_mode)
    (as_user.folder / "whiteout").unlink()
    inside = worlds.python(WHITEOUT, mounts=[f"{as_user.folder}:/data:rw"], directory="/data", check=False)
    assert "PermissionError" in inside.err
    assert not (as_user.folder / "whiteout").exists()


@with_landlock
def test_programs_of_one_world_do_not_read_each_others_memory_but_signal_each_other() -> None:
    import trio

    async def run() -> tuple[bytes, int | None]:
        async with libos.Supervisor(spare=False) as supervisor:
            app = await supervisor.start(
                {"libos": 1, "include": ["base"], "app": {"command": ["sleep", "60"]}}
            )
            script = "p=$(cd /proc; grep -l sleep [0-9]*/comm | cut -d/ -f1); cat /proc/$p/environ; kill $p"
            other = await app.exec(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            assert other.stdout is not None
            out = b"".join([part async for part in other.stdout])
            await other.aclose()
            return out, (await app.wait()).returncode

    assert trio.run(run) == (b"", -15)


LISTENER = """if True:
    import socket
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\\0meeting")
    listener.listen()
    print("listening", flush=True)
    print(listener.accept()[0].recv(100).decode(), flush=True)
"""
CLIENT = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0meeting'); s.sendall(b'met')"


def test_programs_of_one_world_meet_at_abstract_sockets() -> None:
    import trio

    async def run() -> bytes:
        async with libos.Supervisor(spare=False) as supervisor:
            command = {"command": ["python3", "-c", LISTENER]}
            app = await supervisor.start(
                {"libos": 1, "include": ["python"], "app": command}, stdout=subprocess.PIPE
            )
            assert app.stdout is not None
            told = await app.stdout.receive_some()
            other = await app.exec(["python3", "-c", CLIENT])
            told += b"".join([part async for part in app.stdout])
            await other.wait()  # it ended by itself, or with the world, which ends with the listener
            return told

    assert trio.run(run) == b"listening\nmet\n"


def test_what_of_proc_tells_of_the_machine_is_empty_and_its_settings_are_read_only(worlds: Worlds) -> None:
    known = [name for name in TELLING if Path(f"/proc/{name}").exists()]
    folders = [name for name in FOLDERS if os.path.isdir(f"/proc/{name}") and os.listdir(f"/proc/{name}")]
    assert "keys" in known and folders
    assert all(Path(f"/proc/{name}").read_bytes() for name in known if name != "keys")
    code = """if True:
        import json, os, sys
        files, folders = json.loads(sys.argv[1])
        print(json.dumps({
            "files": {name: open("/proc/" + name).read() for name in files},
            "folders": {name: os.listdir("/proc/" + name) for name in folders},
            "settings": bool(os.statvfs("/proc/sys").f_flag & os.ST_RDONLY),
            "own": open("/proc/self/comm").read(),
        }))
    """
    found: dict[str, Any] = json.loads(worlds.python(code, json.dumps([known, folders])).out)
    assert found["files"] == dict.fromkeys(known, "")
    assert found["folders"] == {name: [] for name in folders}
    assert found["settings"]
    assert found["own"] == "python3\n"


def test_the_covers_stay(worlds: Worlds) -> None:
    script = "umount /proc/keys; umount -l /proc/sys; mount -o remount,rw /proc/sys; cat /proc/keys | wc -c"
    result = worlds.run("sh", "-c", script)
    assert result.out == "0\n"
    assert len(result.err.splitlines()) >= 3


async def test_a_world_without_the_second_wall_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = walls.HostWalls(serves_root=False, uid=1000, landlock=1)
    monkeypatch.setattr("libos.announcing.host_walls", lambda: bare)
    async with libos.Supervisor(spare=False) as supervisor, supervisor.events() as events:
        app = await supervisor.start({"libos": 1, "include": ["base"], "app": {"command": ["true"]}})
        await app.wait()
        seen = []
        async for event in events:
            seen.append(event)
            if event.kind == "app.exit":
                break
    (missing,) = [event for event in seen if event.kind == "missing"]
    assert missing.fields["feature"] == "landlock"
    assert missing.world == app.name
