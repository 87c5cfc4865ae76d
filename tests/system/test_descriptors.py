"""A program that has descriptors, and gives up all names."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

PROGRAM = """
import json, os, signal, sys
def tried(do, *words):
    try:
        return do(*words)
    except OSError as error:
        return error.strerror
names = os.environ["LISTEN_FDNAMES"].split(":")
held = {name: 3 + place for place, name in enumerate(names)}
before = tried(os.open, "/mnt/fd/input", os.O_RDWR)
child = os.fork()
if not child:
    signal.pause()
said = {
    "told": [names, int(os.environ["LISTEN_FDS"]), os.environ["LISTEN_PID"] == str(os.getpid())],
    "other": sorted(set(os.listdir("/proc/self/fd")) - set("0123456")),
    "before": before,
    "entered": [os.write(held["enter"], b"x"), os.write(held["enter"], b"x")],
    "root": [os.listdir("/"), os.listdir(".."), os.getcwd()],
    "paths": [tried(os.stat, path) for path in ("/usr", "/proc/self", f"/proc/{child}/root", "/dev/null")],
    "made": tried(os.mkdir, "/new"),
    "input": [os.read(held["input"], 5).decode(), tried(os.lseek, held["input"], 0, 0)],
    "log": [os.write(held["log"], b"two"), tried(os.ftruncate, held["log"], 0)],
    "run": tried(os.execv, "/bin/true", ["true"]),
}
os.kill(child, signal.SIGKILL)
print(json.dumps(said), flush=True)
sys.stdin.read()
"""
GONE = "No such file or directory"


def manifest(folder: Path, **app: Any) -> dict[str, Any]:
    return {
        "include": ["python"],
        "app": {"command": ["python3", "-c", PROGRAM], "ambient": False, **app},
        "descriptor": [
            {"name": "input", "host": str(folder / "input"), "rights": ["read"]},
            {"name": "log", "host": str(folder / "log"), "rights": ["append"]},
        ],
    }


def test_names_are_given_up_and_descriptors_stay(as_user: Account) -> None:
    (as_user.folder / "input").write_text("one two")
    (as_user.folder / "log").write_text("one")
    (as_user.folder / "log").chmod(0o666)
    (as_user.folder / "m.json").write_text(json.dumps(manifest(as_user.folder)))
    code = (
        "import json, libos\n"
        "done = libos.run(manifest=json.load(open('m.json')), capture_output=True, text=True, input='')\n"
        "print(done.stdout, done.stderr)"
    )
    done = as_user.run(as_user.python("-c", code))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {
        "told": [["input", "log", "enter"], 3, True],
        "other": [],
        "before": "Permission denied",
        "entered": [1, 1],
        "root": [[], [], "/"],
        "paths": [GONE] * 4,
        "made": "Read-only file system",
        "input": ["one t", "Illegal seek"],
        "log": [3, "Operation not permitted"],
        "run": GONE,
    }
    assert (as_user.folder / "log").read_text() == "onetwo"


async def test_nothing_is_given_back(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    os.close(os.open(tmp_path / "input", os.O_CREAT))
    async with supervisor.events() as events:
        asked = manifest(tmp_path, introspect=True)
        app = await supervisor.start(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert app.stdout is not None
        assert await app.stdout.receive_some()
        assert list(app.grants) == []
        with pytest.raises((libos.LibosError, OSError)):
            await app.mount("/usr", libos.host("/usr"))
        with pytest.raises(libos.LibosError):
            await app.exec(["/bin/true"])
        await app.kill()
        dropped = {event.fields["path"] async for event in _until_exit(events) if event.kind == "grant"}
        await app.aclose()
    assert {"/usr", "/mnt/fd/log", "/mnt/ns/policy"} <= dropped


def test_enter_alone_leaves_room_for_what_tells_of_refused_calls() -> None:
    asked = {
        "include": ["base"],
        "app": {"command": ["sh", "-c", 'echo "$LISTEN_FDNAMES"; echo >&3; [ -e /usr ] || echo gone'],
                "ambient": False},
        "syscalls": {"log": True},
    }  # fmt: skip
    done = libos.run(manifest=asked, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("enter\ngone\n", "", 0)


async def _until_exit(events: Any) -> Any:
    async for event in events:
        yield event
        if event.kind == "app.exit":
            return
