"""What a root inside tries with its capabilities: each attempt is shown to work for a root of namespaces of
its own, and fails for the root of a world."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import trio
from accounts import Account
from attacking import OWN_NAMESPACES
from worlds import Worlds

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]
INSIDE = Path(__file__).with_name("inside") / "superuser.py"
# What root of its own namespaces may, and the errnos of a world's root.
REFUSED = {
    "mount": {"EPERM"},
    "new namespaces": {"EPERM"},
    "chroot": {"EPERM"},
    "host name": {"EPERM"},
    "whiteout": {"EPERM", "EACCES"},
    "set-user-id": {"EPERM"},
    "file capabilities": {"EPERM"},
    "memory of process 1": {"EPERM", "EACCES"},
    "network": {"EPERM"},
}


def attempts(out: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(out)
    assert set(found) == set(REFUSED)
    return found


def test_what_roots_of_their_own_namespaces_may_is_refused_to_the_root_of_a_world(
    as_user: Account, worlds: Worlds
) -> None:
    root = [*OWN_NAMESPACES, "--user", "--map-root-user"]
    live = as_user.run([*root, "python3", "-c", INSIDE.read_text(), str(as_user.folder)])
    assert live.returncode == 0, live.stderr
    assert set(attempts(live.stdout).values()) == {"done"}
    held = attempts(worlds.python(INSIDE.read_text(), "/tmp", user="root").out)
    assert {name: errno for name, errno in held.items() if errno not in REFUSED[name]} == {}


def test_root_inside_reads_and_ends_nothing_of_init(worlds: Worlds) -> None:
    code = """if True:
        import errno, os, signal
        for path in ("mem", "environ", "root/", "fd/0", "ns/mnt"):
            try: print(bool(open(f"/proc/1/{path}", "rb").read(1)))
            except OSError as error: print(errno.errorcode[error.errno])
        for path in ("kernel/core_pattern", "vm/overcommit_memory", "net/ipv4/ip_forward"):
            try: open(f"/proc/sys/{path}", "w").close()
            except OSError as error: print(errno.errorcode[error.errno])
        try: os.kill(1, signal.SIGKILL)
        except OSError: pass
        print("lives")
    """
    answers = worlds.python(code, user="root").out.split()
    assert set(answers[:5]) <= {"EACCES", "EPERM", "EISDIR"}, answers
    assert answers[5:] == ["EROFS"] * 3 + ["lives"]


def test_root_inside_does_not_write_what_is_granted_to_read(as_user: Account, worlds: Worlds) -> None:
    (as_user.folder / "file").write_text("granted")
    os.chown(as_user.folder / "file", as_user.uid, as_user.uid)
    script = "cat file; echo x > file; chmod 666 file; chown 0 file; rm -f file; mv file other"
    mounts = [f"{as_user.folder}:/data"]
    result = worlds.run("sh", "-c", script, user="root", mounts=mounts, directory="/data", check=False)
    assert result.out == "granted"
    assert len(result.err.splitlines()) == 5, result.err
    assert (as_user.folder / "file").read_text() == "granted"


def test_no_two_worlds_of_root_have_an_id_in_common() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's worlds have identities of their own")

    async def maps() -> list[range]:
        app = {"command": ["cat", "/proc/self/uid_map", "/proc/self/gid_map"], "user": "root"}
        manifest = {"libos": 1, "include": ["base"], "app": app}
        found = []
        async with libos.Supervisor(spare=False) as supervisor:
            waiting = {"libos": 1, "include": ["base"], "app": {"command": ["sleep", "60"], "user": "root"}}
            held = await supervisor.start(waiting)
            other = await supervisor.start(manifest, stdout=subprocess.PIPE)
            assert other.stdout is not None
            shown = await trio.Path(f"/proc/{held.pid}/uid_map").read_text()
            for text in (shown, b"".join([part async for part in other.stdout]).decode()):
                for line in text.splitlines():
                    inside, first, length = map(int, line.split())
                    assert (inside, length) == (0, 65536)
                    found.append(range(first, first + length))
            await held.kill()
        return found

    own, uids, gids = trio.run(maps)
    assert uids == gids
    assert not set(own) & set(uids)
    assert min(own.start, uids.start) > 1_000_000
