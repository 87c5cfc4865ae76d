"""Worlds below worlds: they hold what is handed on, follow what is taken, and end with the one above."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from accounts import Account
from services import echo_server
from shells import Shell

import libos
from libos.interposing import Monitor, SystemCall
from libos.launch import Launch
from libos.supervisor import Supervisor

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

PIPE = subprocess.PIPE
CHILDREN = {"children": 5}


def manifest(*mounts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"include": ["base"], "app": {"command": ["sh"]}, "mount": list(mounts), **more}


@pytest.fixture
async def start(supervisor: Supervisor) -> AsyncIterator[Callable[..., Any]]:
    """Starts a shell in a world; all end with the test."""
    apps: list[libos.App] = []

    async def started(*mounts: dict[str, Any], parent: Shell | None = None, **more: Any) -> Shell:
        pipes: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE, "stderr": subprocess.STDOUT}
        name = more.pop("name", None)
        above = None if parent is None else parent.app
        app = await supervisor.start(manifest(*mounts, **more), parent=above, name=name, **pipes)
        apps.append(app)
        return Shell(app)

    yield started
    for app in reversed(apps):
        await app.kill()
        await app.aclose()


async def test_names_are_paths_and_the_end_of_one_ends_all_below(
    supervisor: Supervisor, start: Callable[..., Any]
) -> None:
    async with supervisor.events() as events:
        top = await start(name="build", limits=CHILDREN)
        middle = await start(parent=top, name="tests", limits={"children": 2})
        unit = await start(parent=middle, name="build/tests/unit")
        named = await start(name="build/lint")
        unnamed = await start(parent=top)
        names = ["build", "build/tests", "build/tests/unit", "build/lint", "build/sh-1"]
        assert list(supervisor.apps) == names
        with pytest.raises(libos.ManifestError, match='an app named "build/lint" is running'):
            await start(name="build/lint")
        with pytest.raises(libos.SupervisorError, match='no world "other" runs here'):
            await start(name="other/tests")
        with pytest.raises(libos.ManifestError, match="is no name below"):
            await start(parent=top, name="a/b")
        await named.app.kill()
        await middle.app.kill()
        assert unit.app.status is not None
        assert unit.app.status.reason == "parent"
        assert await unnamed.do("echo lives") == "lives\n"
        await top.app.kill()
        assert not supervisor.apps
        with pytest.raises(libos.SupervisorError, match="has ended"):
            await start(parent=top)
        told = []
        async for event in events:
            if event.kind in ("app.exit", "world.empty"):
                told.append((event.world, event.kind, event.fields.get("reason")))
            if event.kind == "app.exit" and event.world == "build":
                break
    assert told == [
        ("build/lint", "app.exit", "killed"),
        ("build/tests/unit", "app.exit", "parent"),
        ("build/tests", "world.empty", None),
        ("build/tests", "app.exit", "killed"),
        ("build/sh-1", "app.exit", "parent"),
        ("build", "world.empty", None),
        ("build", "app.exit", "killed"),
    ]


async def test_what_is_taken_from_the_world_above_is_taken_below(
    tmp_path: Path, start: Callable[..., Any]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("content\n")
    (tmp_path / "key.pem").write_text("key\n")
    work = {"at": "/work", "host": str(tmp_path), "mode": "read-write"}
    top = await start(work, limits=CHILDREN)
    whole = await start({**work, "at": "/w"}, parent=top, limits={"children": 1})
    part = await start({**work, "at": "/w", "host": str(tmp_path / "sub")}, parent=top)
    leaf = await start({**work, "at": "/v", "host": str(tmp_path / "sub")}, parent=whole)
    assert await whole.do("echo new >/w/sub/new; cat /w/key.pem") == "key\n"
    assert await part.do("cat /w/file /w/new; echo >/w/more") == "content\nnew\n"
    grant = top.app.grant("/work")
    await grant.narrow(read_only=True)
    for shell, at in ((top, "/work"), (whole, "/w"), (part, "/w"), (leaf, "/v")):
        assert "Read-only file system" in await shell.do(f"echo >{at}/x"), at
    await grant.narrow(hide=["*.pem"])
    assert "No such file" in await whole.do("cat /w/key.pem")
    assert await whole.do("cat /w/sub/file") == "content\n"
    assert "No such file" in await part.do("cat /w/file")  # a part, of which the patterns do not speak
    again = await start({"at": "/w", "host": str(tmp_path), "hide": ["*.pem"]}, parent=top)
    await grant.revoke()
    for shell in (whole, again):
        assert "No such file" in await shell.do("cat /w/sub/file")


async def test_it_is_given_nothing_more_but_what_is_handed_on(
    tmp_path: Path, start: Callable[..., Any]
) -> None:
    (tmp_path / "file").write_text("content\n")
    top = await start({"at": "/work", "host": str(tmp_path), "mode": "read-write"}, limits=CHILDREN)
    other = await start()
    below = await start(parent=top)
    with pytest.raises(libos.ManifestError, match="is given nothing more"):
        await below.app.mount("/w", libos.host(str(tmp_path)))
    with pytest.raises(libos.ManifestError, match="is given nothing more"):
        await below.app.dial("tcp!127.0.0.1!9")
    with pytest.raises(libos.ManifestError, match="is given nothing more"):
        await below.app.publish(8000, 0)
    grant = await other.app.mount("/w", libos.host(str(tmp_path)))
    with pytest.raises(libos.ManifestError, match="is given nothing more"):
        await below.app.mount("/w", grant)
    await below.app.mount("/w", top.app.grant("/work"), read_only=True)
    assert await below.do("cat /w/file") == "content\n"
    assert "Read-only" in await below.do("echo >/w/x")


async def test_who_answers_for_the_calls_of_the_world_above_answers_below(supervisor: Supervisor) -> None:
    def refused(_call: SystemCall) -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monitor = Monitor({"uname": refused})
    manifest = {"include": ["base"], "app": {"command": ["cat"]}, "limits": {"children": 1}}
    top = await supervisor.start(manifest, stdin=PIPE, on_syscall=monitor)
    below = {"include": ["base"], "app": {"command": ["uname"]}}
    for other in (None, Monitor({"uname": lambda _call: 0})):
        with pytest.raises(libos.ManifestError, match="give the same one"):
            await supervisor.start(below, parent=top, on_syscall=other)
    app = await supervisor.start(below, parent=top, on_syscall=monitor, stderr=subprocess.DEVNULL)
    assert (await app.wait()).returncode == 1
    await top.kill()
    await top.aclose()


async def test_a_start_that_fails_gives_its_place_back(
    supervisor: Supervisor, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    top = await start(limits={"children": 1, "processes": 20})
    one = {"limits": {"processes": 10}, "parent": top}
    for _ in range(2):
        with pytest.raises(libos.CommandNotFoundError):
            await start(app={"command": ["/nothing"]}, **one)
    assert all(not grant.children for grant in top.app.grants)
    below = await start(**one)
    with pytest.raises(libos.ManifestError, match="may have 1 worlds below it"):
        await start(**one)
    await below.app.kill()

    serve = Launch._serve

    async def served(self: Launch, task_status: Any) -> None:
        if self.branch.above is None:  # a spare of the one above
            await serve(self, task_status)
            return
        top.app.end("killed")
        await trio.sleep_forever()

    monkeypatch.setattr(Launch, "_serve", served)
    with pytest.raises(libos.SupervisorError, match="the world above it has ended"):
        await start(**one)
    await top.app.wait()
    assert not supervisor.apps


DIAL = """
import socket, sys
try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
        s.sendall(b"hello"); print(s.recv(5).decode(), flush=True)
        sys.stdin.readline(); s.sendall(b"x"); print(s.recv(5) or "end", flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
"""


async def test_connections_go_through_the_gate_of_the_world_above(
    supervisor: Supervisor, start: Callable[..., Any]
) -> None:
    with echo_server() as port:
        address = f"tcp!127.0.0.1!{port}"
        top = await start(include=["python"], dial=[{"to": address, "connections": 1}], limits=CHILDREN)
        wanted = {
            "include": ["python"],
            "app": {"command": ["python3", "-c", DIAL, str(port)]},
            "dial": [{"to": address}],
        }
        pipes: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE}
        below = [await supervisor.start(wanted, parent=top.app, **pipes)]
        said = [await _line(below[0])]
        (dialed,) = top.app.dials
        counted = (dialed.open, dialed.sent)
        below.append(await supervisor.start(wanted, parent=top.app, **pipes))  # beyond `connections` above
        said.append(await _line(below[1]))
        await dialed.revoke()
        assert below[0].stdin is not None
        await below[0].stdin.send_all(b"\n")
        said.append(await _line(below[0]))
        with pytest.raises(libos.ManifestError, match="is not granted to"):
            await supervisor.start(wanted, parent=top.app, **pipes)
        for app in below:
            await app.kill()
            await app.aclose()
    assert said[0] == "hello"
    assert counted == (1, 5)
    assert said[1] == "ConnectionResetError"
    assert said[2] in ("ConnectionResetError", "BrokenPipeError")


async def _line(app: libos.App) -> str:
    assert app.stdout is not None
    said = b""
    while not said.endswith(b"\n"):
        more = await app.stdout.receive_some()
        assert more, said
        said += more
    return said.decode().strip()


PREPARE = """
set -e
mkdir -p here/inner
cd here
echo content >inner/file
cat >manifest.toml <<'EOF'
libos = 1
include = ["base"]
[app]
command = ["sh", "-c", "echo up; exec cat"]
[[mount]]
at = "/work"
host = "."
[limits]
children = 2
EOF
mkdir -p ../else
echo 'libos = 1' >../else/more.toml
cat >../else/child.toml <<'EOF'
libos = 1
include = ["base", "./more.toml"]
[app]
command = ["echo", "of a file"]
EOF
mkfifo hold up long
exec 3<>hold 4<>up 5<>up 6<>long 7<>long
"""
RUN = """
libos run --name build manifest.toml <&3 >&4 &
top=$!
read up <&5
libos run --name build/tests -v inner:/w -e A=a -- sh -c 'cat /w/file; echo $A; exit 7' || echo status $?
libos run --name build/tests ../else/child.toml
libos run --name build/tests -v /etc:/w -- true || echo status $?
libos run --name build/tests --events x -- true 2>/dev/null || echo status $?
libos run --name none/tests -- true 2>/dev/null || echo status $?
libos run --name build/long -- sh -c 'echo up; exec sleep 1000' >&6 2>&1 &
long=$!
read up <&7
libos ps --json
libos exec build/long -- echo inside
libos kill build
wait $long || echo status $?
wait $top || echo status $?
libos ps --json
"""


def test_from_a_shell(as_user: Account) -> None:
    done = as_user.run(["bash", "-c", PREPARE + RUN])
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("{")
    assert first.splitlines() == [
        "content",
        "a",
        "status 7",
        "of a file",
        "status 2",
        "status 2",
        "status 125",
    ]
    assert 'would hold more than "build"' in done.stderr
    listed, place = json.JSONDecoder().raw_decode("{" + rest)
    assert [world["name"] for world in listed["worlds"]] == ["build", "build/long"]
    words, _, left = rest[place - 1 :].partition("{")
    assert words.split() == ["inside", "status", "137", "status", "137"]
    assert json.loads("{" + left)["worlds"] == []
