"""Services in real worlds: a unix socket inside that leads out, from the start or later, and taken back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio
from accounts import Account

import libos
from libos.errors import ManifestError

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Asks at each path that it is told, and prints what came; an error by its name.
CLIENT = """
import socket, sys
open_ones = []
for line in sys.stdin:
    word, path = line.split()
    try:
        if word == "more":
            print("more", open_ones[-1].recv(10) or "end", flush=True)
            continue
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        made.sendall(b"ask")
        if word == "hold":
            open_ones.append(made)
            print("held", made.recv(10), flush=True)
            continue
        made.shutdown(socket.SHUT_WR)
        answer = b""
        while part := made.recv(100):
            answer += part
        print(answer.decode(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


async def answer(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(b"python " + data)


@contextmanager
def echo_at(path: Path, uid: int | None = None) -> Iterator[None]:
    """A service of the host: each connection gets back what it sends, with "outside" before it."""

    def serve_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the other end may be gone, with its world
            while data := connection.recv(4096):
                connection.sendall(b"outside " + data)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        if uid is not None:
            os.chown(path, uid, -1)
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


class Client:
    """The app, asked by lines."""

    def __init__(self, app: libos.App) -> None:
        assert app.stdin is not None
        assert app.stdout is not None
        self.app, self._stdin, self._stdout = app, app.stdin, app.stdout

    async def ask(self, path: str, word: str = "ask") -> str:
        await self._stdin.send_all(f"{word} {path}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            answer += await self._stdout.receive_some(100)
        return answer.decode().strip()


async def client(supervisor: libos.Supervisor, *mounts: dict[str, object], **app: object) -> Client:
    said = {"command": ["python3", "-c", CLIENT], **app}
    manifest = {"include": ["python"], "app": said, "mount": list(mounts)}
    return Client(await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE))


async def test_services_of_the_start(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    with echo_at(tmp_path / "s"):
        asked = await client(
            supervisor,
            {"at": "/run/db.sock", "service": f"unix!{tmp_path}/s"},
            {"at": "/tmp/deep/py.sock", "service": answer},
            {"at": "/run/none.sock", "service": "unix!/nowhere/at/all"},
        )
        for _ in range(2):
            assert await asked.ask("/run/db.sock") == "outside ask"
            assert await asked.ask("/tmp/deep/py.sock") == "python ask"
        # The gate closes what it could not connect; that it has not read is a reset, before or after.
        assert await asked.ask("/run/none.sock") in ("ConnectionResetError", "BrokenPipeError")
        grants = {grant.at: grant for grant in asked.app.grants}
        assert grants["/run/db.sock"].mechanism == "socket"
        assert grants["/run/db.sock"].describe()["what"] == f"service unix!{tmp_path}/s"
        await asked.app.kill()


async def test_a_service_while_the_app_runs_and_its_end(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    async with supervisor.events() as events:
        with echo_at(tmp_path / "s"):
            asked = await client(supervisor)
            assert await asked.ask("/run/db.sock") == "FileNotFoundError"
            grant = await asked.app.mount("/run/db.sock", {"service": f"unix!{tmp_path}/s"})
            assert await asked.ask("/run/db.sock", "hold") == "held b'outside as'"
            await grant.revoke()
            assert await asked.ask("-", "more") == "more b'k'"
            assert await asked.ask("-", "more") == "more end"
            assert await asked.ask("/run/db.sock") == "FileNotFoundError"
            again = await asked.app.mount("/run/db.sock", {"service": answer})
            assert await asked.ask("/run/db.sock") == "python ask"
            await again.revoke()
            await asked.app.kill()
        seen = []
        async for event in events:
            if event.kind in ("dial.open", "dial.close") or event.kind == "grant":
                seen.append((event.kind, event.fields.get("address") or event.fields.get("note")))
            if event.kind == "app.exit":
                break
    address = "unix!/run/db.sock"
    assert seen == [
        ("grant", None),
        ("dial.open", address),
        ("dial.close", address),
        ("grant", None),
        ("grant", None),
        ("dial.open", address),
        ("dial.close", address),
        ("grant", None),
    ]


async def test_a_service_is_handed_on_and_dies_with_its_grant(
    supervisor: libos.Supervisor, tmp_path: Path
) -> None:
    one = await client(supervisor, {"at": "/run/db.sock", "service": answer})
    other = await client(supervisor)
    grant = one.app.grant("/run/db.sock")
    assert isinstance(grant, libos.Grant)
    await other.app.mount("/run/theirs.sock", grant)
    assert await other.ask("/run/theirs.sock") == "python ask"
    await grant.revoke()
    assert await other.ask("/run/theirs.sock") == "FileNotFoundError"
    await one.app.kill()
    await other.app.kill()


async def test_an_app_binds_its_service_elsewhere(supervisor: libos.Supervisor) -> None:
    program = """
import socket
with open("/mnt/ns/ctl", "w") as control:
    control.write("bind /run/db.sock /mine.sock\\n")
made = socket.socket(socket.AF_UNIX)
made.connect("/mine.sock")
made.sendall(b"ask")
made.shutdown(socket.SHUT_WR)
print(made.recv(100).decode())
try:
    import os
    os.chmod("/run/db.sock", 0)
except OSError as error:
    print(type(error).__name__, error.strerror)
"""
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "-c", program], "control": True},
        "mount": [{"at": "/run/db.sock", "service": answer}],
    }
    app = await supervisor.start(manifest, stdout=subprocess.PIPE)
    assert app.stdout is not None
    output = b""
    async for part in app.stdout:
        output += part
    assert output.decode() == "python ask\nOSError Read-only file system\n"
    assert (await app.wait()).returncode == 0


async def test_what_a_service_cannot_be(supervisor: libos.Supervisor) -> None:
    asked = await client(supervisor, {"at": "/run/db.sock", "service": answer})
    for what in ({"service": "udp!h!1"}, {"service": "unix!/x", "hide": ["a"]}, {"service": print}):
        with pytest.raises(ManifestError):
            await asked.app.mount("/run/other.sock", what)
    grant = asked.app.grant("/run/db.sock")
    assert isinstance(grant, libos.Grant)
    with pytest.raises(ManifestError, match="no names to narrow"):
        await grant.narrow(hide=["x"])
    assert await asked.ask("/run/db.sock") == "python ask"
    await asked.app.kill()


def test_in_a_manifest_explained_and_run(as_user: Account) -> None:
    path = as_user.folder / "outside.sock"
    (as_user.folder / "a.toml").write_text(
        f"libos = 1\ninclude = [\"python\"]\n[app]\ncommand = [\"python3\", \"-c\", '''{CLIENT}''']\n"
        f'[[mount]]\nat = "/run/db.sock"\nservice = "unix!{path}"\n'
    )
    told = json.loads(as_user.run(as_user.libos("explain", "a.toml", "--json")).stdout)["resources"]
    (line,) = [each for each in told if each["at"] == "/run/db.sock"]
    assert (line["asked"], line["mechanism"]) == (f"service unix!{path}", "socket")
    assert "connects outside for each connection" in line["reason"]
    with echo_at(path, as_user.uid):
        done = as_user.run(as_user.libos("run", "a.toml"), stdin=None, input="ask /run/db.sock\n")
    assert done.stdout == "outside ask\n", done.stderr
