"""Programs that try to execute what did not pass."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from validated import module

import libos
from libos.slots import seal

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the modules are for x86-64"),
]
pytest_plugins = ["running"]

LOADER = "/lib64/ld-linux-x86-64.so.2"
PROGRAM = """
import errno, json, mmap, os, shutil, subprocess, sys
def tried(do, *words, **more):
    try:
        return do(*words, **more)
    except OSError as error:
        return errno.errorcode[error.errno]
def ran(*command):
    done = tried(subprocess.run, command, capture_output=True, text=True)
    return done if isinstance(done, str) else done.stdout.strip() or done.returncode
def copied(folder):
    path = folder + "/copy"
    shutil.copyfile("/modules/good", path)
    os.chmod(path, 0o755)
    return path
def mapped(path):
    fd = os.open(path, os.O_RDONLY)
    return str(tried(mmap.mmap, fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))
def by_descriptor(path):
    fd = os.open(path, os.O_PATH)
    child = os.fork()
    if not child:
        try:
            os.execve(fd, ["x"], {})
        except OSError as error:
            os._exit(error.errno)
    return errno.errorcode[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]
LOADER = sys.argv[1]
names = ("good", "unlisted", "writable", "truncated")
said = {name: ran("/modules/" + name) for name in names}
said |= {
    "one": ran("/one"),
    "signed": ran("/signed/tool"),
    "script": ran("/scripts/script"),
    "script of a refused one": ran("/scripts/through"),
    "unlisted script": ran("/scripts/unlisted"),
    "read by an interpreter": ran("sh", "/scripts/unlisted"),
    "data": open("/scripts/data").read(),
    "loader": ran(LOADER, "/modules/dynamic"),
    "loader of a copy": ran(LOADER, shutil.copy("/bin/true", "/tmp/true")),
    "descriptor": by_descriptor("/modules/unlisted"),
    "memory": ran(copied("/tmp")),
    "linked": ran("/modules/linked"),
    "shared memory": ran(copied("/dev/shm")),
    "mapped": mapped("/tmp/copy"),
    "without a name": tried(os.memfd_create, "x"),
    "write": tried(os.open, "/modules/good", os.O_WRONLY),
}
print("ready", flush=True)
sys.stdin.readline()
said["changed"] = ran("/modules/changed")
said["replaced"] = ran("/modules/replaced")
print(json.dumps(said), flush=True)
"""


def make(folder: Path) -> None:
    """The files of the manifest."""
    modules, scripts, signed = folder / "modules", folder / "scripts", folder / "signed"
    for each in (modules, scripts, signed / "root"):
        each.mkdir(parents=True)
    for name in ("good", "unlisted", "changed", "replaced"):
        (modules / name).write_bytes(module(name))
    (modules / "writable").write_bytes(module("writable", writable=True))
    (modules / "truncated").write_bytes(module("truncated")[:-4])
    (modules / "linked").symlink_to("/tmp/copy")
    shutil.copy("/bin/true", modules / "dynamic")
    (scripts / "script").write_text("#!/bin/sh\necho script\n")
    (scripts / "through").write_text("#!/modules/unlisted\n")
    (scripts / "unlisted").write_text("#!/bin/sh\necho read\n")
    (scripts / "data").write_text("data")
    (folder / "one").write_bytes(module("one"))
    (signed / "root/tool").write_bytes(module("tool"))
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755)
    key = Ed25519PrivateKey.generate()
    seal(signed, key)
    for name, written in (("key.pem", key), ("other.pem", Ed25519PrivateKey.generate())):
        pem = written.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / name).write_bytes(pem)


def digests(*paths: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def manifest(folder: Path) -> dict[str, Any]:
    modules = [folder / "modules" / each for each in ("good", "writable", "truncated", "changed", "replaced")]
    scripts = [folder / "scripts" / each for each in ("script", "through")]
    return {
        "include": ["python"],
        "app": {"command": ["python3", "-c", PROGRAM, LOADER], "name": "vetted"},
        "mount": [
            {"at": "/modules", "host": "modules", "exec": {"sha256": digests(*modules), "elf": True}},
            {"at": "/scripts", "host": "scripts", "exec": {"sha256": digests(*scripts)}},
            {"at": "/signed", "host": "signed", "exec": {"signed": "key.pem"}},
            {"at": "/one", "host": "one", "exec": {"elf": True}},
        ],
    }


RUN = """
import json, subprocess, sys
from pathlib import Path
import trio, libos
async def main():
    told = []
    async with libos.Supervisor() as supervisor, supervisor.events() as events:
        app = await supervisor.start(libos.from_mapping(json.load(open("m.json")), base=Path.cwd()),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        first = b""
        while not first.endswith(b"\\n"):
            part = await app.stdout.receive_some()
            assert part, first
            first += part
        other = Path("modules/good").read_bytes().replace(b"good", b"evil")
        Path("modules/changed").write_bytes(other)
        Path("modules/new").write_bytes(other)
        Path("modules/new").rename("modules/replaced")
        await app.stdin.send_all(b"\\n")
        said = b"".join([part async for part in app.stdout])
        await app.wait()
        async for event in events:
            if event.kind == "exec.refused":
                told.append([event.fields[key] for key in ("operation", "path", "reason")])
            if event.kind == "app.exit":
                break
    print(json.dumps([json.loads(said), told]))
trio.run(main)
"""


def test_only_what_passed_is_executed(as_user: Account) -> None:
    folder = as_user.folder
    make(folder)
    (folder / "m.json").write_text(json.dumps(manifest(folder)))
    for path in (folder, *folder.rglob("*")):
        if as_user.uid and not path.is_symlink():
            shutil.chown(path, as_user.uid, as_user.uid)
    done = as_user.run(as_user.python("-c", RUN))
    assert done.returncode == 0, done.stderr
    said, told = json.loads(done.stdout)
    refused = {name: said.pop(name) for name in list(said) if said[name] == "EACCES"}
    assert sorted(refused) == [
        *("descriptor", "linked", "memory", "script of a refused one", "shared memory", "truncated"),
        *("unlisted", "unlisted script", "writable", "write"),
    ]
    assert said == {
        "good": "good",
        "one": "one",
        "signed": "tool",
        "script": "script",
        "read by an interpreter": "read",  # what an interpreter reads is not executed
        "data": "data",
        "loader": 127,
        "loader of a copy": 127,
        "mapped": "EPERM",
        "without a name": "EPERM",
        "changed": "EIO",
        "replaced": "EIO",
    }
    unlisted = "its digest is not listed"
    assert told == [
        ["execute", "/modules/unlisted", unlisted],
        ["execute", "/modules/writable", "a segment can be both written and executed"],
        ["execute", "/modules/truncated", "it is truncated in a segment"],
        ["execute", "/modules/unlisted", unlisted],
        ["execute", "/scripts/unlisted", unlisted],
        ["read", "/modules/dynamic", unlisted],
        ["execute", "/modules/unlisted", unlisted],
    ]


async def test_what_is_mounted_later_cannot_be_executed(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    make(tmp_path)
    asked = {
        "include": ["base"],
        "app": {"command": ["sh"], "control": True},
        "mount": [{"at": "/modules", "host": "modules", "exec": {"elf": True}}],
    }
    from_file = libos.from_mapping(asked, base=tmp_path)
    app = await supervisor.start(from_file, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    await app.mount("/live", libos.host(str(tmp_path / "modules")))
    lines = [
        "/live/good; echo $?",
        "mkdir /tmp/b; echo 'bind /modules /tmp/b' > /mnt/ns/ctl; /tmp/b/good; /tmp/b/writable; echo $?",
        "cp /bin/true /tmp/true; echo 'bind /tmp /etc' > /mnt/ns/ctl; /etc/true; echo $?",
    ]
    assert app.stdin is not None
    assert app.stdout is not None
    await app.stdin.send_all("\n".join(["exec 2>/dev/null", *lines, "exit", ""]).encode())
    said = b"".join([part async for part in app.stdout]).decode().split()
    await app.wait()
    await app.aclose()
    assert said == ["126", "good", "126", "126"]


async def test_another_key_starts_nothing(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    make(tmp_path)
    mount = {"at": "/signed", "host": "signed", "exec": {"signed": "other.pem"}}
    asked = libos.from_mapping({"app": {"command": ["/signed/tool"]}, "mount": [mount]}, base=tmp_path)
    with pytest.raises(libos.HostError, match="its seal is not signed by the key"):
        await supervisor.start(asked)
    (tmp_path / "other.pem").write_text("no key")
    with pytest.raises(libos.HostError, match="holds no public Ed25519 key"):
        await supervisor.start(asked)
