"""File servers in real worlds: mounted, changed through, killed while worlds use them, replaced, revoked."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from accounts import Account
from shells import shell

import libos
from libos.fs.memory import memory_tree
from libos.fs.node import Caller, Directory, File
from libos.fs.p9.exporting import export
from libos.fs.p9.mounting import mounted
from libos.kernel import landlock

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Each line is a command; its output comes as one line, so that whoever reads it knows that it has ended.
SHELL = 'while read -r line; do eval "$line" > /tmp/said 2>&1; echo $(cat /tmp/said); done'


@contextmanager
def exportfs(
    account: Account, *options: str, by: Sequence[str] = (), program: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A server of the account that is ready, started by the command `by` if there is one; another `program`
    if one is given. Killed in the end, if it still runs."""
    reader, writer = os.pipe()
    words = [*by, *(program or account.libos("exportfs")), *options, "--ready-fd", str(writer)]
    process = account.start(words, pass_fds=[writer], stderr=subprocess.PIPE)
    os.close(writer)
    with process, open(reader, "rb") as ready:
        try:
            assert ready.read() == b""
            yield process
        finally:
            process.kill()


class Talk:
    """A world that answers commands."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(command, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()


@contextmanager
def world(account: Account, manifest: Path, events: Path) -> Iterator[Talk]:
    """A world of a manifest, until the block ends."""
    words = account.libos("run", "-T", "--events", str(events), str(manifest), "--", "sh", "-c", SHELL)
    with account.start(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Talk(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=50) == 0


def test_a_world_outlives_its_file_server(as_user: Account) -> None:
    folder, path = as_user.folder, as_user.folder / "s"
    made = "mkdir tree; echo old > tree/old; echo key > tree/.env; ln -s /etc/hostname tree/out"
    as_user.run(["sh", "-c", f"umask 022; {made}"])
    (folder / "m.toml").write_text(
        f'libos = 1\ninclude = ["base"]\n'
        f'[[mount]]\nat = "/rw"\np9 = "unix!{path}"\nmode = "read-write"\n'
        f'[[mount]]\nat = "/ro"\np9 = "unix!{path}"\nhide = ["old"]\n'
        '[[mount]]\nat = "/own"\ntext = "mine"\n'
    )
    options = ("--rw", "--hide", ".env", "--socket", str(path), "tree")
    with exportfs(as_user, *options) as server, world(as_user, folder / "m.toml", folder / "events") as sh:
        assert sh.do("cat /rw/old; echo new > /rw/new; echo more >> /rw/new; cat /ro/new") == "old new more"
        changed = "mkdir /rw/d; mv /rw/new /rw/d/moved; ln /rw/d/moved /rw/two; rm /rw/old; ls -R /rw"
        assert sh.do(changed) == "/rw: d out two /rw/d: moved"
        changed = "stat -c %U:%a:%h:%s /rw/two; chmod 600 /rw/two; truncate -s 3 /rw/two; cat /ro/d/moved"
        assert sh.do(changed) == "app:644:2:9 new"
        assert "Permission denied" in sh.do("echo x > /ro/new")
        assert "No such file" in sh.do("cat /rw/.env")
        assert "Permission denied" in sh.do("echo x > /rw/.env")
        assert sh.do("readlink /rw/out; exec 5< /rw/two") == "/etc/hostname"
        found = sorted(path.name for path in (folder / "tree").iterdir())
        assert found == [".env", "d", "out", "two"]
        assert (folder / "tree/two").stat().st_uid == as_user.uid
        server.kill()
        server.wait()
        for file in ("/rw/two", "/ro/two", "/proc/self/fd/5"):
            assert sh.do(f"cat {file}").endswith("Input/output error"), file
        assert sh.do("cat /own") == "mine"
        with exportfs(as_user, *options) as server:
            while (said := sh.do("cat /rw/two")).endswith("Input/output error"):
                pass  # it dials again a moment after it failed
            assert said == "new"
            assert sh.do("cat /own") == "mine"
            server.send_signal(signal.SIGTERM)
            assert server.wait() == 0
            assert not path.exists()
    told = [json.loads(line) for line in (folder / "events").read_text().splitlines()]
    reasons = {each["reason"] for each in told if each["kind"] == "error"}
    assert any(reason.startswith("9P: the server is gone") for reason in reasons), reasons


def test_without_a_server_a_world_does_not_start(as_user: Account) -> None:
    manifest = as_user.folder / "m.toml"
    manifest.write_text('libos = 1\ninclude = ["base"]\n[[mount]]\nat = "/s"\np9 = "unix!/no/such/socket"\n')
    done = as_user.run(as_user.libos("run", str(manifest), "--", "true"))
    assert done.returncode == 125
    assert done.stderr.endswith(
        'libos: the mount at "/s": no file server of 9P2000.L answers: No such file or directory: '
        "unix!/no/such/socket; start one there first: libos exportfs serves a folder\n"
    )


@pytest.mark.skipif(landlock.abi() < landlock.ABI_REFER, reason="this kernel has no Landlock from ABI 2 up")
async def test_a_server_that_is_led_out_of_its_folder_opens_nothing_there(as_user: Account) -> None:
    folder = as_user.folder
    as_user.run(
        [
            "sh",
            "-c",
            "mkdir tree out; echo secret > out/file; echo own > tree/file; ln -s ../out/file tree/link",
        ]
    )
    read = {}
    for how in ("open", "enclosed"):
        script = as_user.python(str(Path(__file__).with_name("exportfs_astray.py")), how)
        with exportfs(as_user, "--socket", str(folder / how), "tree", program=script):
            root = await mounted(partial(trio.open_unix_socket, folder / how))
            read[how] = [await content(root, name) for name in (b"file", b"link")]
            root.close()
    assert read == {"open": [b"own\n", b"secret\n"], "enclosed": [b"own\n", "EACCES"]}


async def content(root: Directory, name: bytes) -> bytes | str:
    """What a file holds, or the errno's name."""
    try:
        file = await root.walk(name)
        assert isinstance(file, File)
        handle = await file.open(os.O_RDONLY, Caller())
        return await handle.read(0, 100)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@pytest.mark.accounts("user")
def test_it_serves_at_the_socket_that_systemd_passes(as_user: Account) -> None:
    """As systemd does it: the socket is descriptor 3, and the variables say so to this process alone."""
    path = as_user.folder / "s"
    activate = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "os.dup2(s.fileno(), 3); os.set_inheritable(3, True);"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    manifest = as_user.folder / "m.toml"
    manifest.write_text(f'libos = 1\ninclude = ["base"]\n[[mount]]\nat = "/s"\np9 = "unix!{path}"\n')
    by = as_user.python("-c", activate, str(path))
    with exportfs(as_user, "--memory", "1M", by=by) as server:
        done = as_user.run(as_user.libos("run", str(manifest), "--", "ls", "-a", "/s"))
        assert (done.stdout.split(), done.stderr) == ([".", ".."], "")
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


async def test_a_server_that_is_mounted_later_is_taken_back(
    supervisor: libos.Supervisor, tmp_path: Path
) -> None:
    tree = memory_tree()
    _, handle = await tree.create(b"file", 0o644, os.O_RDWR, Caller())
    await handle.write(0, b"content\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(export, tree, listener, writable=True))
            async with shell(supervisor) as sh:
                grant = await sh.app.mount("/late", {"p9": f"unix!{tmp_path}/s", "mode": "read-write"})
                assert grant.mechanism == "served"
                assert grant.describe()["what"] == f"9P unix!{tmp_path}/s, read-write"
                assert await sh.do("exec 5< /late/file; cat /late/file; echo x > /late/x; ls /late") == (
                    "content\nfile\nx\n"
                )
                await grant.revoke()
                assert "Input/output error" in await sh.do("cat <&5")
                assert "No such file" in await sh.do("ls /late")
            nursery.cancel_scope.cancel()
