"""Grants of a running world that are narrowed, handed on or bound by the app: what was made of one ends
with it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from shells import Shell, shell

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("content\n")
    (tmp_path / "secret.pem").write_text("secret\n")
    (tmp_path / "sub").mkdir()
    return tmp_path


async def test_narrowing_to_reading_holds_at_once(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor) as sh:
        for revocable in (False, True):
            at = f"/data{revocable:d}"
            grant = await sh.app.mount(at, libos.host(str(folder), mode="read-write", revocable=revocable))
            assert await sh.do(f"echo new > {at}/new && cat {at}/new") == "new\n"
            await grant.narrow(read_only=True)
            assert "Read-only file system" in await sh.do(f"echo more > {at}/new")
            assert await sh.do(f"cat {at}/new") == "new\n"


@pytest.mark.parametrize("what", [{"memory": "1M"}, {"host": None, "mode": "copy-on-write"}])
async def test_memory_and_copies_stay_what_they_are_when_they_are_narrowed(
    supervisor: libos.Supervisor, folder: Path, what: dict[str, Any]
) -> None:
    what = {key: str(folder) if value is None else value for key, value in what.items()}
    async with shell(supervisor) as sh:
        grant = await sh.app.mount("/data", what)
        await sh.do("echo word > /data/word; echo key > /data/key.pem")
        await grant.narrow(hide=["*.pem"])
        assert (
            await sh.do("cat /data/word; ls /data/key.pem 2>/dev/null; echo more >> /data/word") == "word\n"
        )
        await grant.narrow(read_only=True)
        assert "Read-only" in await sh.do("echo x > /data/word")
        assert await sh.do("cat /data/word") == "word\nmore\n"
        other = await sh.app.mount("/other", what)
        await sh.do("echo word > /other/word; exec 5>> /other/word")
        await other.narrow(read_only=True)
        assert "Read-only" in await sh.do("echo x > /other/word")
        assert await sh.do("cat /other/word") == "word\n"


async def test_narrowing_while_a_file_is_open_for_writing(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor) as sh:
        grant = await sh.app.mount("/data", libos.host(str(folder), mode="read-write"))
        await sh.do("exec 5>> /data/log")
        await grant.narrow(read_only=True)
        assert "Read-only file system" in await sh.do("echo x > /data/log")
        assert await sh.do("cat /data/file") == "content\n"
        await grant.revoke()
        assert "No such file" in await sh.do("ls /data")


@pytest.mark.parametrize("revocable", [False, True])
async def test_narrowing_by_names_holds_for_what_comes_later_too(
    supervisor: libos.Supervisor, folder: Path, revocable: bool
) -> None:
    async with shell(supervisor) as sh:
        grant = await sh.app.mount("/data", libos.host(str(folder), revocable=revocable))
        assert await sh.do("cat /data/secret.pem") == "secret\n"
        await grant.narrow(hide=["*.pem"])
        (folder / "sub" / "later.pem").write_text("later")
        assert "No such file" in await sh.do("cat /data/secret.pem")
        assert await sh.do("ls /data /data/sub") == "/data:\nfile\nsub\n\n/data/sub:\n"
        assert await sh.do("cat /data/file") == "content\n"


@pytest.mark.parametrize(
    "what",
    [
        {"memory": "1M"},
        {"host": None, "mode": "copy-on-write"},
        {"host": None, "revocable": True},
        {"host": None, "mode": "read-write", "revocable": True},
    ],
)
async def test_a_grant_that_is_handed_on_shows_the_same_and_dies_with_its_parent(
    supervisor: libos.Supervisor, folder: Path, what: dict[str, Any]
) -> None:
    what = {key: str(folder) if value is None else value for key, value in what.items()}
    async with shell(supervisor) as one, shell(supervisor) as two:
        grant = await one.app.mount("/mine", what)
        if "revocable" not in what:
            await one.do("echo from-one > /mine/word")
        copy = await two.app.mount("/theirs", grant, read_only=True)
        further = await two.app.mount("/further", copy)
        word = "file" if "revocable" in what else "word"
        expected = "content\n" if "revocable" in what else "from-one\n"
        for place in ("/theirs", "/further"):
            assert await two.do(f"cat {place}/{word}") == expected
            assert "Read-only file system" in await two.do(f"echo x > {place}/{word}")
        await two.do(f"exec 5< /further/{word}")
        await grant.revoke()
        assert copy.revoked
        assert further.revoked
        for place in ("/theirs", "/further"):
            assert "No such file" in await two.do(f"ls {place}")
        with pytest.raises(libos.SupervisorError, match="revoked"):
            await two.app.mount("/again", copy)


async def test_what_the_app_bound_of_it_dies_with_a_grant(supervisor: libos.Supervisor, folder: Path) -> None:
    manifest = {"include": ["base"], "app": {"command": ["sh"], "control": True}}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # the two constants are ints
    sh = Shell(app)
    await sh.do("mkdir /tmp/a")
    grant = await app.mount("/tmp/a/data", libos.host(str(folder), mode="read-write"))
    await sh.do("mv /tmp/a /tmp/b")  # its place is not what it was
    for line in ("bind /tmp/b/data /copy", "bind /tmp /all", "bind /copy/sub /third"):
        assert await sh.do(f"echo {line} > /mnt/ns/ctl") == ""
    assert await sh.do("cat /copy/file /all/b/data/file; ls -d /third") == "content\ncontent\n/third\n"
    await grant.revoke()
    said = await sh.do("cat /copy/file /all/b/data/file /tmp/b/data/file; ls /third")
    assert said.count("No such file") == 4
    await app.kill()
    await app.aclose()


async def test_what_an_app_binds_and_drops_is_forgotten(supervisor: libos.Supervisor, folder: Path) -> None:
    manifest = {"include": ["base"], "app": {"command": ["bash"], "control": True}}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # as above
    sh = Shell(app)
    grant = await app.mount("/data", libos.host(str(folder)))
    once = "echo bind /data /copy$i > /mnt/ns/ctl; echo unmount /copy$i > /mnt/ns/ctl"
    assert await sh.do(f"for i in {{1..20}}; do {once}; done") == ""
    assert grant.children == []
    assert await sh.do("echo bind /data /copy > /mnt/ns/ctl") == ""
    assert [each.at for each in grant.children] == ["/copy"]
    await app.kill()
    await app.aclose()


async def test_a_copy_for_another_world_shows_nothing_that_is_mounted_on_it(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor) as one, shell(supervisor) as two:
        outer = await one.app.mount("/data", {"memory": "1M"})
        await one.do("mkdir /data/sub")
        await one.app.mount("/data/sub", libos.host(str(folder)))
        await two.app.mount("/data", outer)
        assert await two.do("ls /data /data/sub") == "/data:\nsub\n\n/data/sub:\n"


async def test_all_that_was_made_from_a_grant_dies_with_it(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor) as one, shell(supervisor) as two:
        grant = await one.app.mount("/data", libos.host(str(folder)))
        made = [await two.app.mount(f"/copy{number}", grant) for number in range(4)]
        await grant.revoke()
        assert [each.revoked for each in made] == [True] * 4
        assert "copy" not in await two.do("ls /")


async def test_narrowing_reaches_what_another_world_has_looked_at(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor) as one, shell(supervisor) as two:
        grant = await one.app.mount("/data", {"memory": "1M", "revocable": True})
        await one.do("echo secret > /data/key.pem; echo word > /data/word")
        copy = await two.app.mount("/copy", grant)
        await two.app.mount("/further", copy)
        assert await two.do("cat /copy/key.pem /further/key.pem") == "secret\nsecret\n"
        await grant.narrow(hide=["*.pem"], read_only=True)
        said = await two.do("stat /copy/key.pem /further/key.pem; cat /copy/word")
        assert said.count("No such file") == 2
        assert said.endswith("word\n")
        assert "Read-only" in await two.do("echo x > /further/word")


async def test_narrowing_never_shows_what_was_covered(supervisor: libos.Supervisor, folder: Path) -> None:
    mounts = (
        {"at": "/data", "host": str(folder), "mode": "read-write"},
        {"at": "/data/sub", "memory": "1M"},
    )
    (folder / "sub" / "covered").write_text("covered")
    async with shell(supervisor, *mounts) as sh:
        grant = sh.app.grants.get("/data")
        with pytest.raises(libos.SupervisorError, match="stands on it"):
            await grant.narrow(hide=["*.pem"])
        await sh.do("exec 5>> /data/log")  # what is open for writing cannot be made read-only in place
        with pytest.raises(libos.SupervisorError, match="stands on it"):
            await grant.narrow(read_only=True)
        assert await sh.do("ls /data/sub; cat /data/file") == "content\n"


async def test_what_the_app_bound_of_a_mount_below_goes_with_the_mount_above(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    manifest = {"include": ["base"], "app": {"command": ["sh"], "control": True}}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # as above
    sh = Shell(app)
    outer = await app.mount("/data", {"memory": "1M"})
    await sh.do("mkdir /data/in")
    inner = await app.mount("/data/in", libos.host(str(folder)))
    await sh.do("echo bind /data/in /copy > /mnt/ns/ctl")
    assert await sh.do("cat /copy/file") == "content\n"
    await outer.revoke()
    assert inner.revoked
    assert "No such file" in await sh.do("cat /copy/file")
    await app.kill()
    await app.aclose()


async def test_what_the_app_dropped_is_told_and_the_callers_handle_is_at_its_end(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    manifest = {"include": ["base"], "app": {"command": ["bash"], "control": True}}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    async with supervisor.events() as events:
        app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # as above
        sh = Shell(app)
        grants = [await app.mount(f"/data{n}", libos.host(str(folder))) for n in range(2)]
        await sh.do("echo unmount /data0 > /mnt/ns/ctl")
        async for event in events:
            if event.fields.get("action") == "drop":
                assert event.fields["path"] == "/data0"
                break
        assert app.stdin is not None
        await app.stdin.send_all(b"echo clear > /mnt/ns/ctl; echo gone\n")
        assert app.stdout is not None
        assert await app.stdout.receive_some() == b"gone\n"
        assert [grant.revoked for grant in grants] == [True, True]
        for grant in grants:
            await grant.revoke()
        await app.kill()
        await app.aclose()
