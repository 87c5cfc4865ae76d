"""Mounts that join what stands at their place while the app runs, and leave it again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from shells import Shell, shell

import libos
from libos.manifest.model import App, Manifest
from libos.namespace import Namespace
from libos.namespace.text import parse

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two trees: `one` has f and a directory d, `two` has f, g and a directory d."""
    for name in ("one", "two"):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "f").write_text(f"{name}\n")
        (tmp_path / name / "d" / name).write_text(f"{name}\n")
    (tmp_path / "two" / "g").write_text("g of two\n")
    return tmp_path


STANDING: dict[str, dict[str, Any]] = {
    "a bind": {"host": "one"},
    "a writable bind": {"host": "one", "mode": "read-write"},
    "an overlay": {"host": "one", "mode": "copy-on-write"},
    "memory": {"memory": "1M"},
    "a served tree": {"host": "one", "revocable": True},
    "a layered tree": {"host": "one", "hide": ["*.pem"]},
}


@pytest.mark.parametrize("kind", STANDING)
@pytest.mark.parametrize("at", ["/u", "/tmp/deep/u"])
async def test_what_joins_is_behind_or_before_what_stood_there_and_leaves_alone(
    supervisor: libos.Supervisor, folder: Path, kind: str, at: str
) -> None:
    what = dict(STANDING[kind])
    if "host" in what:
        what["host"] = str(folder / what["host"])
    async with shell(supervisor) as sh:
        first = await sh.app.mount(at, what)
        if "memory" in what:
            await sh.do(f"mkdir {at}/d; echo one > {at}/f; echo one > {at}/d/one")
        await sh.do(f"exec 5< {at}/d/one")
        second = await sh.app.mount(at, libos.host(str(folder / "two")), order="after")
        assert second.mechanism == first.mechanism == "served"
        assert await sh.do(f"cat {at}/f {at}/g; ls {at} {at}/d") == (
            f"one\ng of two\n{at}:\nd\nf\ng\n\n{at}/d:\none\n"
        )
        await sh.do(f"exec 6< {at}/g 7< {at}/f")
        third = await sh.app.mount(at, libos.host(str(folder / "two")), order="before")
        assert await sh.do(f"cat {at}/f; ls {at}/d") == "two\ntwo\n"
        await third.revoke()
        await second.revoke()
        assert "Input/output error" in await sh.do("cat <&6")
        assert await sh.do(f"cat <&7; cat {at}/f; ls {at}") == "one\none\nd\nf\n"
        assert "No such file" in await sh.do(f"cat {at}/g")
        assert await sh.do("cat <&5") == "one\n"
        await first.revoke()
        assert "No such file" in await sh.do(f"cat {at}/f")
        assert [grant.at for grant in sh.app.grants if grant.at == at] == []
        assert f" {at} " not in await sh.do("cat /proc/self/mountinfo")


@pytest.mark.parametrize("kind", STANDING)
async def test_what_stood_there_leaves_first(supervisor: libos.Supervisor, folder: Path, kind: str) -> None:
    what = dict(STANDING[kind])
    if "host" in what:
        what["host"] = str(folder / what["host"])
    async with shell(supervisor) as sh:
        first = await sh.app.mount("/u", what)
        if "memory" in what:
            await sh.do("echo one > /u/f")
        kernel = first.mechanism != "served"
        await sh.do("exec 5< /u/f")
        second = await sh.app.mount("/u", libos.host(str(folder / "two")), order="after")
        await sh.do("exec 6< /u/f 7< /u/g")
        await first.revoke()
        assert await sh.do("cat /u/f; cat <&7") == "two\ng of two\n"
        assert "Input/output error" in await sh.do("cat <&6")
        assert ("Input/output error" in await sh.do("cat <&5")) != kernel
        third = await sh.app.mount("/u", {"memory": "1M"}, order="before")
        assert await sh.do("echo new > /u/new; cat /u/new /u/f") == "new\ntwo\n"
        await sh.app.unmount("/u")
        assert second.revoked
        assert third.revoked
        assert "No such file" in await sh.do("ls /u")


async def test_a_directory_of_a_mount_becomes_the_first_element(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    mounts = {"at": "/data", "host": str(folder), "mode": "read-write"}
    async with shell(supervisor, mounts) as sh:
        await sh.do("mkdir /tmp/made; echo made > /tmp/made/f")
        for at, word in (("/data/one", "one"), ("/tmp/made", "made")):
            await sh.do(f"exec 5< {at}/f")
            grant = await sh.app.mount(at, libos.host(str(folder / "two")), order="after")
            assert await sh.do(f"cat {at}/f {at}/g; exec 6< {at}/f") == f"{word}\ng of two\n"
            assert "Read-only" in await sh.do(f"echo x > {at}/new")
            assert await sh.do(f"echo more >> {at}/f; cat <&5") == f"{word}\nmore\n"
            await grant.revoke()
            assert "No such file" in await sh.do(f"cat {at}/g")
            assert await sh.do(f"cat <&6; touch {at}/new; ls {at}/new") == f"{word}\nmore\n{at}/new\n"
        await sh.app.mount("/data/one", libos.host(str(folder / "two")), order="after")
        assert await sh.do("cat /data/one/g; exec 5< /data/one/f") == "g of two\n"
        await sh.app.grants.get("/data").revoke()
        assert "No such file" in await sh.do("ls /data")
        assert "Input/output error" in await sh.do("cat <&5")


async def test_programs_run_from_a_live_union(supervisor: libos.Supervisor, folder: Path) -> None:
    tool = folder / "two" / "tool"
    tool.write_text("#!/bin/sh\necho my tool\n")
    tool.chmod(0o755)
    async with shell(supervisor) as sh:
        grant = await sh.app.mount("/bin", libos.host(str(folder / "two")), order="before")
        assert await sh.do("/bin/tool; /bin/ls -d /bin/g") == "my tool\n/bin/g\n"
        await grant.revoke()
        assert await sh.do("/bin/ls -d /bin/sh; test -e /bin/tool || echo gone") == "/bin/sh\ngone\n"


async def test_an_element_is_narrowed_alone(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor) as sh:
        first = await sh.app.mount("/u", libos.host(str(folder / "one"), mode="read-write"))
        second = await sh.app.mount("/u", libos.host(str(folder / "two"), mode="read-write"), order="after")
        assert await sh.do("echo x > /u/new; echo x > /u/g; cat /u/g") == "x\n"
        assert (folder / "one" / "new").exists()
        await first.narrow(read_only=True)
        assert "Read-only" in await sh.do("echo x > /u/f")
        assert await sh.do("echo y > /u/g; cat /u/g") == "y\n"
        assert await sh.do("cat /u/f") == "one\n"
        await second.narrow(hide=["g"])
        assert "No such file" in await sh.do("cat /u/g")
        assert await sh.do("ls /u") == "d\nf\nnew\n"
        await first.narrow(hide=["f"])
        assert await sh.do("cat /u/f") == "two\n"


async def test_an_element_is_handed_on_and_dies_with_its_parent(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor) as one, shell(supervisor) as two:
        first = await one.app.mount("/u", {"memory": "1M"})
        second = await one.app.mount("/u", libos.host(str(folder / "two")), order="after")
        await one.do("echo word > /u/word")
        await two.app.mount("/first", first)
        await two.app.mount("/second", second)
        assert await two.do("cat /first/word /second/g") == "word\ng of two\n"
        await one.do("echo longer word > /u/word")
        assert await two.do("cat /first/word") == "longer word\n"
        await second.revoke()
        assert await two.do("cat /first/word") == "longer word\n"
        assert "No such file" in await two.do("ls /second")
        await first.revoke()
        assert "No such file" in await two.do("ls /first")


async def test_a_union_of_the_manifest_takes_more_and_its_own_are_one_grant(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    mounts = (
        {"at": "/u", "host": str(folder / "one")},
        {"at": "/u", "memory": "1M", "order": "after"},
    )
    async with shell(supervisor, *mounts) as sh:
        assert await sh.do("echo mine > /u/mine; cat /u/mine; exec 5< /u/f") == "mine\n"
        (own,) = [grant for grant in sh.app.grants if grant.at == "/u"]
        more = await sh.app.mount("/u", libos.host(str(folder / "two")), order="after")
        assert await sh.do("cat /u/f /u/g /u/mine") == "one\ng of two\nmine\n"
        await own.narrow(read_only=True)
        assert "Read-only" in await sh.do("echo x > /u/mine")
        await own.revoke()
        assert await sh.do("ls /u; cat /u/f") == "d\nf\ng\ntwo\n"
        assert "Input/output error" in await sh.do("cat <&5")
        await more.revoke()
        assert "No such file" in await sh.do("ls /u")


async def test_what_is_mounted_on_an_element_goes_with_it_and_the_rest_stays(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    (folder / "one" / "in-one").mkdir()
    (folder / "two" / "in-two").mkdir()
    async with shell(supervisor) as sh:
        await sh.app.mount("/u", libos.host(str(folder / "one")))
        second = await sh.app.mount("/u", libos.host(str(folder / "two")), order="after")
        in_one = await sh.app.mount("/u/in-one", {"memory": "1M"})
        in_two = await sh.app.mount("/u/in-two", {"memory": "1M"})
        await sh.do("echo x > /u/in-one/x; echo x > /u/in-two/x")
        await second.revoke()
        assert in_two.revoked
        assert not in_one.revoked
        assert await sh.do("cat /u/in-one/x; ls /u") == "x\nd\nf\nin-one\n"


@pytest.mark.parametrize(
    ("at", "what", "why"),
    [
        ("/data", {"text": "x"}, "union is of directories"),
        ("/etc/passwd", {"memory": "1M"}, "union is of directories"),
        ("/data", {"host": "/no/such"}, "the host has no"),
        ("/usr", {"memory": "1M"}, 'would cover "/usr/share"'),
        ("/proc/x", {"memory": "1M"}, "/proc of its own"),
        ("/data", {"memory": "1M", "order": "beside"}, "order"),
    ],
)
async def test_what_cannot_join_is_one_clear_error_and_changes_nothing(
    supervisor: libos.Supervisor, folder: Path, at: str, what: dict[str, Any], why: str
) -> None:
    mounts = ({"at": "/data", "host": str(folder)}, {"at": "/usr/share", "memory": "1M"})
    async with shell(supervisor, *mounts) as sh:
        before = [(each.id, each.at, each.mechanism) for each in sh.app.grants]
        listing = await sh.do("ls / /data; cat /proc/self/mountinfo")
        with pytest.raises(libos.ManifestError, match=why):
            await sh.app.mount(at, {"order": "after", **what})
        assert [(each.id, each.at, each.mechanism) for each in sh.app.grants] == before
        assert await sh.do("ls / /data; cat /proc/self/mountinfo") == listing


async def test_the_printed_namespace_gives_the_same_view_again(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor, {"at": "/data", "host": str(folder)}) as sh:
        await sh.app.mount("/u", {"memory": "1M"})
        await sh.app.mount("/u", libos.host(str(folder / "two")), order="after")
        await sh.app.mount("/u", libos.host(str(folder / "one"), mode="copy-on-write"), order="before")
        await sh.app.mount("/data/one", libos.host(str(folder / "two")), order="after")
        look = "for at in /u /u/d /data/one; do echo $at; ls $at; done; cat /u/f /data/one/f"
        view = await sh.do(look)
        printed = Namespace(sh.app.grants.mounts()).text("/tmp")
    lines = [line for line in printed.splitlines() if "#world" not in line]
    command = App(command=("/bin/sh", "-c", look), environment={"PATH": "/bin"})
    mounts = parse("\n".join(lines) + "\n").mounts
    manifest = Manifest(app=command, mounts=mounts, in_order=True, source="printed")
    app = await supervisor.start(manifest, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert app.stdout is not None
    said = b"".join([data async for data in app.stdout])
    await app.wait()
    await app.aclose()
    assert said.decode() == view


async def test_an_app_joins_and_parts_what_it_holds_and_gains_nothing(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    manifest = {
        "include": ["base"],
        "app": {"command": ["bash"], "control": True},
        "mount": [
            {"at": "/one", "host": str(folder / "one")},
            {"at": "/two", "host": str(folder / "two"), "mode": "read-write"},
            {"at": "/usr/share", "host": str(folder / "two")},
        ],
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # the two constants are ints
    sh = Shell(app)
    caller = await app.mount("/one", libos.host(str(folder / "two"), hide=["g"]), order="before")
    for line, error in (
        ("bind -a /two /one", ""),
        ("bind -z /two /one", "Invalid argument"),
        ("bind -bc /one /two", "Invalid argument"),
        ("bind -a /no/such /one", "No such file"),
        ("bind -a /etc/passwd /one", "Invalid argument"),
        ("bind -a /two /usr", "Invalid argument"),
        ("bind -bc /two /tmp", ""),
        (f"drop {caller.id}", "Operation not permitted"),
    ):
        said = await sh.do(f"echo '{line}' > /mnt/ns/ctl")
        assert error in said if error else said == "", line
    assert await sh.do("cat /one/f /one/g; ls /one/d; sleep 30 < /one/g & echo") == "two\ng of two\ntwo\n\n"
    assert "Read-only" in await sh.do("echo x > /one/g")
    assert await sh.do("echo x > /tmp/f; cat /tmp/f; ls /two") == "x\nd\nf\ng\n"
    assert (folder / "two" / "f").read_text() == "x\n"
    await app.grants.get("/two").revoke()
    said = await sh.do("cat /one/g /tmp/f; cat /proc/$!/fd/0")
    assert said.count("No such file") == 2
    assert "Input/output error" in said
    assert await sh.do("cat /one/f; echo unmount /one > /mnt/ns/ctl; ls /one 2>&1") == (
        "x\nls: cannot access '/one': No such file or directory\n"
    )
    assert caller.revoked
    await app.kill()
    await app.aclose()


async def test_a_bind_has_the_mode_and_the_layers_that_it_asks_for(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor, {"at": "/data", "host": str(folder), "mode": "read-write"}) as sh:
        grant = await sh.app.mount("/view", {"bind": "/data/two", "hide": ["g"]})
        assert await sh.do("ls /view") == "d\nf\n"
        assert "Read-only" in await sh.do("echo x > /view/f")
        plain = await sh.app.mount("/plain", {"bind": "/data/two"})
        assert "Read-only" in await sh.do("echo x > /plain/f")
        written = await sh.app.mount("/written", {"bind": "/data/two", "mode": "read-write"})
        assert await sh.do("echo x > /written/f; cat /view/f") == "x\n"
        await sh.do("exec 5< /view/f")
        await sh.app.grants.get("/data").revoke()
        assert [each.revoked for each in (grant, plain, written)] == [True] * 3
        assert "Input/output error" in await sh.do("cat <&5")


async def test_joining_again_and_again_leaves_nothing(supervisor: libos.Supervisor, folder: Path) -> None:
    async with shell(supervisor, {"at": "/data", "host": str(folder), "mode": "read-write"}) as sh:
        first = await sh.app.mount("/u", {"memory": "1M"})
        await sh.do("echo keep > /u/keep")
        counts = []
        for _ in range(4):
            for _ in range(5):
                for at in ("/u", "/data/one", "/usr/share"):
                    grant = await sh.app.mount(at, libos.host(str(folder / "two")), order="after")
                    assert await sh.do(f"cat {at}/g") == "g of two\n"
                    await grant.revoke()
            counts.append((len(os.listdir("/proc/self/fd")), await sh.do("wc -l < /proc/self/mountinfo")))
        assert counts[0][1] == counts[-1][1]
        assert counts[-1][0] <= counts[0][0] + 5
        assert await sh.do("cat /u/keep") == "keep\n"
        await first.revoke()


SCRIPT = """
import subprocess, sys, trio, libos
from pathlib import Path
for tree in ("one", "two"):
    Path(tree).mkdir()
    Path(tree, "f").write_text(tree)
    Path(tree, tree).write_text(tree)
LOOK = "while read at; do cat $at/f $at/two; echo x > $at/new; cat $at/new; rm $at/new; ls $at; done"

async def main():
    async with libos.Supervisor() as supervisor:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        manifest = {"include": ["base"], "app": {"command": ["sh", "-c", LOOK]}}
        app = await supervisor.start(manifest, **pipes)
        await app.mount("/cow", libos.host("one", mode="copy-on-write"))
        await app.mount("/rw", libos.host("one", mode="read-write"))
        await app.mount("/memory", {"memory": "1M"})
        for at in ("/cow", "/rw", "/memory"):
            await app.mount(at, libos.host("two"), order="after")
        await app.stdin.send_all(b"/cow\\n/rw\\n/memory\\n")
        await app.stdin.aclose()
        async for data in app.stdout:
            sys.stdout.buffer.write(data)
        await app.wait()

trio.run(main)
"""


def test_every_user_joins(as_user: Account) -> None:
    ran = as_user.run(as_user.python("-c", SCRIPT))
    over = "onetwox\nf\none\ntwo\n"
    assert (ran.stdout, ran.stderr) == (over + over + "twotwox\nf\ntwo\n", "")


async def test_what_a_mount_covers_is_in_no_union_wherever_the_app_moves_it(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    (folder / "q" / "secrets").mkdir(parents=True)
    (folder / "q" / "secrets" / "key").write_text("secret")
    manifest = {
        "include": ["base"],
        "app": {"command": ["bash"], "control": True},
        "mount": [
            {"at": "/work", "host": str(folder), "mode": "read-write"},
            {"at": "/work/q/secrets", "memory": "1M"},
        ],
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # the two constants are ints
    sh = Shell(app)
    await sh.do("mv /work/q /work/z; mkdir /tmp/u")
    for line in (
        "bind -a /tmp /work/z",
        "bind -a /work/z /tmp/u",
        "bind -a /work/z/secrets /tmp/u",
        "bind -a /work /tmp/u",
        "bind -a /work/one /tmp/u",
    ):
        assert "Invalid argument" in await sh.do(f"(echo {line} > /mnt/ns/ctl) 2>&1"), line
    with pytest.raises(libos.ManifestError, match="where the app can move it"):
        await app.mount("/work/z", {"memory": "1M"}, order="after")
    assert await sh.do("ls /work/z/secrets /tmp/u") == "/tmp/u:\n\n/work/z/secrets:\n"
    await app.kill()
    await app.aclose()


async def test_what_is_open_through_a_union_that_is_gone_does_not_outlive_a_narrowing(
    supervisor: libos.Supervisor, folder: Path
) -> None:
    async with shell(supervisor, {"at": "/data", "host": str(folder), "mode": "read-write"}) as sh:
        grant = await sh.app.mount("/data/one", libos.host(str(folder / "two")), order="after")
        await sh.do("exec 5>> /data/one/f")
        await grant.revoke()
        assert await sh.do("echo more >&5; cat /data/one/f") == "one\nmore\n"
        await sh.app.grants.get("/data").narrow(read_only=True)
        await sh.do("(echo still >&5) 2> /dev/null")
        assert (folder / "one" / "f").read_text() == "one\nmore\n"
