"""Who an app is on the host: nobody whom the host knows, and in no two worlds of root the same user."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from accounts import Account

import libos
from libos.keeper.identity import FIRST_ID, SLOT, SLOTS
from libos.worlds.identities import FOLDER, Identities, identities

pytestmark = pytest.mark.system
pytest_plugins = ["running"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's worlds have identities of their own")

# Starts a world, says its app's pid, and waits to be ended.
HOLDER = """
import trio, libos
async def main():
    async with libos.Supervisor(spare=False) as supervisor:
        app = await supervisor.start({"libos": 1, "include": ["base"], "app": {"command": ["sleep", "60"]}})
        print(app.pid, flush=True)
        await app.wait()
trio.run(main)
"""


@asynccontextmanager
async def sleeping(supervisor: libos.Supervisor, **mount: Any) -> AsyncIterator[libos.App]:
    """A world in which nothing but a sleep runs."""
    manifest: dict[str, Any] = {"libos": 1, "include": ["base"], "app": {"command": ["sleep", "60"]}}
    if mount:
        manifest["mount"] = [mount]
    app = await supervisor.start(manifest)
    try:
        yield app
    finally:
        with trio.CancelScope(shield=True):
            await app.kill()


def ids(pid: int) -> tuple[set[int], set[int]]:
    """The uids and gids of a process on the host: real, effective, saved, of the file system; and groups."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    groups = {int(each) for each in found["Groups"].split()}
    return {int(each) for each in found["Uid"].split()}, {int(each) for each in found["Gid"].split()} | groups


def as_host_user(uid: int, code: str, *arguments: str) -> str:
    """What Python code prints on the host, with a user's rights and no wall at all; or its error's name."""
    source = f"import errno, os, sys\ntry:\n    {code}\nexcept OSError as e: print(errno.errorcode[e.errno])"
    changed = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    done = subprocess.run(
        [*changed, sys.executable, "-I", "-S", "-c", source, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def is_free(slot: int) -> bool:
    """Whether nobody on this machine holds the lock of a slot."""
    with open(f"{FOLDER}/ids", "rb+") as file:
        wanted = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0)
        (kind, *_) = struct.unpack("@hhqqi", fcntl.fcntl(file, fcntl.F_OFD_GETLK, wanted))
    return bool(kind == fcntl.F_UNLCK)


@as_root
async def test_two_worlds_of_root_are_two_users_whom_the_host_does_not_know() -> None:
    async with libos.Supervisor() as supervisor, sleeping(supervisor) as one, sleeping(supervisor) as two:
        (first_uids, first_gids), (second_uids, second_gids) = ids(one.pid), ids(two.pid)
    assert len(first_uids) == len(second_uids) == 1
    assert (first_uids, second_uids) == (first_gids, second_gids)
    assert first_uids != second_uids
    for uid in first_uids | second_uids:
        assert FIRST_ID < uid < FIRST_ID + SLOT * SLOTS
        assert (uid - FIRST_ID) % SLOT == 0


def test_started_by_a_user_the_app_is_that_user(as_user: Account) -> None:
    if as_user.uid == 0:
        pytest.skip("for an ordinary user: root's worlds have ids of their own")
    with subprocess.Popen(
        as_user.command(*as_user.python("-c", HOLDER)),
        stdout=subprocess.PIPE,
        env=as_user.environment,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        uids, gids = ids(int(process.stdout.readline()))
        process.terminate()
    assert (uids, gids) == ({as_user.uid}, {as_user.uid})


@as_root
async def test_who_got_out_of_a_world_can_do_nothing_to_another() -> None:
    # A process on the host with the id of one world stands for a program that got out of it.
    code = "os.kill(int(sys.argv[1]), 0); print('done')"
    async with libos.Supervisor() as supervisor, sleeping(supervisor) as one, sleeping(supervisor) as two:
        (uid,), _ = ids(one.pid)
        answers = [
            await trio.to_thread.run_sync(as_host_user, uid, code, str(each.pid)) for each in (one, two)
        ]
    assert answers == ["done", "EPERM"]  # to its own world it can


@as_root
async def test_what_one_hands_on_is_the_others_to_use() -> None:
    async with (
        libos.Supervisor() as supervisor,
        sleeping(supervisor, at="/own", memory="1M") as one,
        sleeping(supervisor) as two,
    ):
        made = await one.exec(["sh", "-c", "umask 077; echo secret > /own/file"])
        assert (await made.wait()).returncode == 0
        await two.mount("/theirs", one.grants.get("/own"))
        read = await two.exec(["cat", "/theirs/file"], stdout=subprocess.PIPE)
        assert read.stdout is not None
        assert b"".join([part async for part in read.stdout]) == b"secret\n"
        await read.aclose()


@as_root
async def test_files_in_a_mount_that_two_worlds_share_are_the_owners(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1235)
    shared: dict[str, Any] = {"at": "/data", "host": str(tmp_path), "mode": "read-write"}
    async with (
        libos.Supervisor() as supervisor,
        sleeping(supervisor, **shared) as one,
        sleeping(supervisor, **shared) as two,
    ):
        made = await one.exec(["sh", "-c", "umask 077; echo one > /data/file"])
        assert (await made.wait()).returncode == 0
        added = await two.exec(["sh", "-c", "echo two >> /data/file"])
        assert (await added.wait()).returncode == 0
    found = (tmp_path / "file").stat()
    assert (tmp_path / "file").read_text() == "one\ntwo\n"
    assert (found.st_uid, found.st_gid) == (1234, 1235)


@as_root
def test_supervisors_that_start_at_once_never_share_an_identity() -> None:
    with ExitStack() as stack:
        holders = []
        for _ in range(6):
            holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, cwd="/")
            stack.callback(holder.wait)
            stack.callback(holder.terminate)
            holders.append(holder)
        pids = [int(holder.stdout.readline()) for holder in holders if holder.stdout is not None]
        seen = [next(iter(ids(pid)[0])) for pid in pids]
        for holder in holders:
            assert holder.stdout is not None
            holder.stdout.close()
    assert len(set(seen)) == len(holders)


@as_root
def test_an_identity_is_free_when_its_worlds_have_gone_however_the_supervisor_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, cwd="/") as holder:
        assert holder.stdout is not None
        app = int(holder.stdout.readline())
        (uid,), _ = ids(app)
        slot = (uid - FIRST_ID) // SLOT
        assert not is_free(slot)
        pidfds = [os.pidfd_open(pid) for pid in (app, *_keepers(app))]
        holder.kill()
        while pidfds:  # the app, its init, the keeper's inside half, its outside half
            select.select([pidfds[0]], [], [])
            os.close(pidfds.pop(0))
    assert is_free(slot)


def _keepers(app: int) -> list[int]:
    above = [int(Path(f"/proc/{app}/stat").read_text().rpartition(")")[2].split()[1])]
    while len(above) < 3:
        above.append(int(Path(f"/proc/{above[-1]}/stat").read_text().rpartition(")")[2].split()[1]))
    return above


@as_root
def test_identities_are_used_again_only_when_they_were_given_back() -> None:
    with identities() as one, identities() as two:
        taken = [each.take() for _ in range(40) for each in (one, two)]
        assert len({identity.uid for identity in taken}) == 80
        assert one.give_back(taken[0])
        assert taken[0] not in (two.take(), two.take())
        assert one.take() == taken[0]
        for identity in taken[::2]:
            one.give_back(identity)
        slots = [(identity.uid - FIRST_ID) // SLOT for identity in taken[::2]]
        assert 0 < sum(map(is_free, slots)) < 40  # a few are kept


def test_without_locks_all_are_the_caller() -> None:
    own = Identities(None)
    assert own.take() == own.take()
    assert own.give_back(own.take())


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has the folder")
    tmp_path.chmod(0o777)
    monkeypatch.setattr("libos.worlds.identities.FOLDER", str(tmp_path))
    with pytest.raises(libos.HostError, match="as an ordinary user"), identities():
        pass
