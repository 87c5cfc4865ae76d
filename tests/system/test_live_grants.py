"""Views that change while the app runs: mounted, narrowed, handed on, taken back."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
from shells import Shell, shell

import libos
from libos.fs.synthetic import text

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("content\n")
    (tmp_path / "secret.pem").write_text("secret\n")
    (tmp_path / "sub").mkdir()
    return tmp_path


async def test_what_is_mounted_is_there_and_what_is_revoked_is_not(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor) as sh:
        assert "No such file" in await sh.do("ls /data")
        grant = await sh.app.mount("/data", libos.host(str(folder)))
        assert grant.mechanism == "bind"
        assert await sh.do("cat /data/file") == "content\n"
        assert "Read-only file system" in await sh.do("echo x > /data/file")
        await grant.revoke()
        assert "No such file" in await sh.do("ls /data")
        await grant.revoke()
        assert (folder / "file").read_text() == "content\n"


@pytest.mark.parametrize(
    ("what", "mechanism"),
    [
        ({"memory": "1M"}, "tmpfs"),
        ({"text": "kept"}, "served"),
        ({"host": None, "mode": "copy-on-write"}, "overlay"),
        ({"host": None, "mode": "read-write", "revocable": True}, "served"),
    ],
)
@pytest.mark.parametrize("at", ["/new/deep/place", "/tmp/in/memory"])
async def test_every_kind_comes_and_goes(
    supervisor: libos.Supervisor, folder: Path, what: dict[str, Any], mechanism: str, at: str
) -> None:
    what = {key: str(folder) if value is None else value for key, value in what.items()}
    async with shell(supervisor) as sh:
        grant = await sh.app.mount(at, what)
        assert grant.mechanism == mechanism
        if "text" in what:
            assert await sh.do(f"cat {at}; echo") == "kept\n"
        else:
            assert await sh.do(f"echo more > {at}/more && cat {at}/more") == "more\n"
        await sh.app.unmount(at)
        assert "more" not in await sh.do(f"ls {at}")
        assert grant.revoked
        assert (folder / "more").exists() == (what.get("mode") == "read-write")


async def test_what_is_open_of_a_served_grant_fails_and_of_a_kernel_mount_lives_on(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor) as sh, supervisor.events() as events:
        served = await sh.app.mount("/served", libos.host(str(folder), revocable=True))
        bound = await sh.app.mount("/bound", libos.host(str(folder)))
        assert (served.mechanism, bound.mechanism) == ("served", "bind")
        await sh.do("exec 5< /served/file 6< /bound/file")
        await served.revoke()
        await bound.revoke()
        assert "Input/output error" in await sh.do("cat <&5")
        assert await sh.do("cat <&6") == "content\n"
        told = []
        async for event in events:
            if event.kind == "grant":
                told.append((event.fields["action"], event.fields["path"], event.fields.get("note", "")))
            if len(told) == 4:
                break
        assert [each[:2] for each in told] == [
            ("mount", "/served"),
            ("mount", "/bound"),
            ("revoke", "/served"),
            ("revoke", "/bound"),
        ]
        assert told[2][2] == ""
        assert "live on" in str(told[3][2])


async def test_a_grant_is_found_wherever_the_app_has_moved_its_place(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor) as sh:
        await sh.do("mkdir /tmp/a")
        grant = await sh.app.mount("/tmp/a/data", libos.host(str(folder)))
        assert await sh.do("mv /tmp/a /tmp/b && mkdir -p /tmp/a/data && cat /tmp/b/data/file") == "content\n"
        await grant.revoke()
        assert await sh.do("ls /tmp/b/data /tmp/a/data") == "/tmp/a/data:\n\n/tmp/b/data:\n"


async def test_a_block_holds_a_grant(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor) as sh:
        async with sh.app.granted("/data", libos.host(str(folder))):
            assert await sh.do("cat /data/file") == "content\n"
        assert "No such file" in await sh.do("ls /data")
        with trio.move_on_after(30) as scope:
            async with sh.app.granted("/data", text("node")) as grant:
                assert await sh.do("cat /data; echo") == "node\n"
                scope.cancel()
                await trio.sleep_forever()
        assert grant.revoked


async def test_what_stands_below_goes_too(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor) as sh:
        outer = await sh.app.mount("/data", libos.host(str(folder)))
        inner = await sh.app.mount("/data/sub", {"memory": "1M"})
        await sh.do("echo x > /data/sub/x")
        await outer.revoke()
        assert inner.revoked
        assert "No such file" in await sh.do("ls /data")
        assert list((folder / "sub").iterdir()) == []


@pytest.mark.parametrize(
    ("at", "what", "why"),
    [
        ("/usr", {"text": "x"}, "mounted already"),
        ("/usr/bin/new", {"text": "x"}, "nothing there to mount on"),
        ("relative", {"text": "x"}, "relative path"),
        ("/proc/x", {"text": "x"}, "/proc of its own"),
        ("/x", {"host": "/no/such"}, "the host has no"),
        ("/x", {"tekst": "x"}, "unknown key"),
        ("/x", {"text": "x", "hide": [""]}, "a pattern is one line"),
    ],
)
async def test_what_cannot_be_mounted_is_one_clear_error_and_changes_nothing(
    supervisor: libos.Supervisor, at: str, what: dict[str, Any], why: str
) -> None:
    async with shell(supervisor) as sh:
        before = [each.at for each in sh.app.grants]
        listing = await sh.do("ls / /usr")
        with pytest.raises(libos.ManifestError, match=why):
            await sh.app.mount(at, what)
        assert [each.at for each in sh.app.grants] == before
        assert await sh.do("ls / /usr") == listing


async def test_the_manifests_own_mounts_are_grants(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor, {"at": "/data", "host": str(folder)}) as sh:
        (grant,) = [each for each in sh.app.grants if each.at == "/data"]
        assert "data" in await sh.do("ls /")
        await grant.revoke()
        assert "data" not in await sh.do("ls /")


async def test_a_world_that_ended_takes_no_grant(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor) as sh:
        grant = await sh.app.mount("/data", libos.host(str(folder)))
        await sh.app.kill()
        with pytest.raises(libos.SupervisorError):
            await sh.app.mount("/more", {"text": "x"})
        await grant.revoke()


async def test_many_changes_at_once(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor) as sh, trio.open_nursery() as nursery:

        async def come_and_go(number: int) -> None:
            for _ in range(5):
                async with sh.app.granted(f"/many/{number}", libos.host(str(folder))):
                    pass

        for number in range(20):
            nursery.start_soon(come_and_go, number)
        for _ in range(5):
            await sh.do("ls -R /many > /dev/null 2>&1")


async def test_an_app_cannot_fill_the_kernel_with_mounts(supervisor: libos.Supervisor) -> None:
    manifest = {"include": ["base"], "app": {"command": ["bash"], "control": True}}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # as above
    sh = Shell(app)
    said = await sh.do("for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo bind / /d$i > /mnt/ns/ctl; done")
    assert "No space left" in said
    assert int(await sh.do("wc -l < /proc/self/mountinfo")) < 10_000
    await app.kill()
    await app.aclose()


async def test_a_union_is_one_grant_and_prints_whole(supervisor: libos.Supervisor, folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "more").write_text("more\n")
    mounts = (
        {"at": "/data", "host": str(folder)},
        {"at": "/data", "host": str(folder / "other"), "order": "after"},
        {"at": "/again", "bind": "/data"},
    )
    async with shell(supervisor, *mounts) as sh:
        assert await sh.do("cat /data/file /data/more /again/more") == "content\nmore\nmore\n"
        (grant,) = [each for each in sh.app.grants if each.at == "/data"]
        assert [mount.at for mount in sh.app.grants.mounts()].count("/data") == 2
        await grant.revoke()
        assert (await sh.do("cat /data/file /again/more")).count("No such file") == 2


async def test_the_world_s_own_is_shown_a_second_time(supervisor: libos.Supervisor) -> None:
    async with shell(supervisor) as sh:
        grant = await sh.app.mount("/share", {"bind": "/usr/share"})
        assert await sh.do("ls -d /share/doc") == "/share/doc\n"
        await grant.revoke()
        assert "No such file" in await sh.do("ls -d /share")


@pytest.mark.parametrize("at", ["/data", "/tmp/data"])
@pytest.mark.parametrize("what", [{"memory": "1M"}, {"text": "x"}])
async def test_a_cancelled_mount_is_there_whole_or_not_at_all(
    supervisor: libos.Supervisor, at: str, what: dict[str, Any]
) -> None:
    async with shell(supervisor) as sh:
        for number in range(30):
            with trio.move_on_after(number * 0.0001):
                await sh.app.mount(at, what)
            held = [grant for grant in sh.app.grants if grant.at == at]
            assert ("No such file" in await sh.do(f"ls {at}")) == (not held)
            for grant in held:
                await grant.revoke()
            assert at not in await sh.do("cat /proc/self/mountinfo")
