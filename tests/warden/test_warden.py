"""`libos warden` with real containers: its verbs, what a client can do wrong, and that nothing is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

from libos.warden.containers import MOST_ENDED

pytestmark = pytest.mark.system


class Client:
    """One connection; asks and is answered in lines."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(str(path))
        self._lines = self._sock.makefile("rb")

    def say(self, request: str, **fields: object) -> None:
        self._sock.sendall(json.dumps({"version": 1, "request": request, **fields}).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line, "the service hung up"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, request: str, **fields: object) -> dict[str, Any]:
        self.say(request, **fields)
        answer = self.hear()
        assert answer["answer"] == request, answer
        return answer

    def refused(self, request: str, **fields: object) -> str:
        self.say(request, **fields)
        answer = self.hear()
        assert answer["answer"] == "error", answer
        return str(answer["text"])

    def half(self) -> None:
        """Send half a line and go away."""
        self._sock.sendall(b'{"version": 1, "request": "cre')
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._sock.close()


@contextmanager
def warden(account: Account) -> Iterator[Path]:
    """A service of the account, which only that account can reach: clients here act as it by its folder."""
    path = account.folder / "warden.sock"
    reader, writer = os.pipe()
    process = subprocess.Popen(
        account.command(*account.libos("warden", "--socket", str(path), "--ready-fd", str(writer))),
        env=account.environment,
        cwd=account.folder,
        pass_fds=[writer],
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    with process, open(reader, "rb") as ready:
        try:
            assert ready.read() == b""
            assert path.is_socket()
            yield path
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=50)
    assert (process.returncode, errors) == (0, "")
    assert not path.exists()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of a service of this suite's own user: the service answers nobody else."""
    with _own(tmp_path) as account, warden(account) as path:
        found = Client(path)
        yield found
        found.close()


@contextmanager
def _own(folder: Path) -> Iterator[Account]:
    yield Account("own", os.geteuid(), (), folder)


def test_the_verbs(client: Client, tmp_path: Path) -> None:
    shared, out = tmp_path / "shared", tmp_path / "out"
    for path in (shared, out):
        path.mkdir()
    (shared / "note").write_text("from outside\n")
    assert client.ask("ping")
    assert client.ask("echo", message="hello")["message"] == "hello"
    mounts = [{"src_path": str(shared), "dst_path": "/shared", "mode": "ro"}]
    handle = client.ask("create", bind_mounts=mounts, grace_time=600)["handle"]
    assert client.ask("list")["handles"] == [handle]

    done = client.ask("run", handle=handle, script="cat /shared/note; echo oops >&2; exit 3")
    assert (done["exit_status"], done["stdout"], done["stderr"]) == (3, "from outside\n", "oops\n")

    client.ask("copy_in", handle=handle, src_path=str(shared / "note"), dst_path="/tmp")
    client.ask("run", handle=handle, script="mkdir /tmp/d; cat /tmp/note /tmp/note > /tmp/d/twice")
    client.ask("copy_out", handle=handle, src_path="/tmp/d", dst_path=str(out))
    assert (out / "d/twice").read_text() == "from outside\n" * 2

    job = client.ask("spawn", handle=handle, script="echo begun; touch /tmp/begun; exec sleep 600")["job_id"]
    client.ask("run", handle=handle, script="until [ -e /tmp/begun ]; do :; done")
    assert client.ask("info", handle=handle)["jobs"] == [job]
    client.ask("stop", handle=handle)
    ended = client.ask("link", handle=handle, job_id=job)
    assert (ended["exit_status"], ended["stdout"]) == (-signal.SIGTERM, "begun\n")

    client.ask("destroy", handle=handle)
    assert client.ask("list")["handles"] == []


def test_what_a_job_writes_is_streamed_while_it_runs(client: Client) -> None:
    handle = client.ask("create")["handle"]
    job = client.ask("spawn", handle=handle, script="mkfifo /tmp/go; read x < /tmp/go; echo $x")["job_id"]
    client.say("stream", handle=handle, job_id=job)
    other = Client(Path(client._sock.getpeername()))
    other.ask("run", handle=handle, script="until [ -p /tmp/go ]; do :; done; echo now > /tmp/go")
    assert client.hear() | {"version": 1} == {
        "version": 1,
        "answer": "stream",
        "name": "stdout",
        "data": "now\n",
    }
    end = client.hear()
    assert (end["ended"], end["exit_status"], end["stdout"]) == (True, 0, "now\n")
    other.close()


def test_addresses_go_in_and_out_by_grants(client: Client) -> None:
    handle = client.ask("create")["handle"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null"
        run = {"handle": handle, "script": f"bash -c '{script}'"}
        assert client.ask("run", **run)["exit_status"] == 1
        client.ask("net_out", handle=handle, to=f"tcp!127.0.0.1!{port}")
        assert client.ask("run", **run)["exit_status"] == 0
    assert client.ask("net_in", handle=handle, container_port=8000)["published"].startswith("tcp!127.0.0.1!")


def test_what_is_wrong_is_said_and_changes_nothing(client: Client, tmp_path: Path) -> None:
    assert "there is no 'fly'" in client.refused("fly")
    assert "there is no container 'x'" in client.refused("spawn", handle="x", script="true")
    assert "Bad" in client.refused("create", handle="Bad")
    assert "grace_time" in client.refused("create", grace_time="soon")
    assert "no limit 'fuel'" in client.refused("create", limits={"fuel": 1})
    gone = [{"src_path": str(tmp_path / "gone"), "dst_path": "/gone"}]
    assert "gone" in client.refused("create", bind_mounts=gone)
    handle = client.ask("create", handle="one")["handle"]
    assert "already" in client.refused("create", handle="one")
    assert "no job 7" in client.refused("link", handle=handle, job_id=7)
    assert "needs 'script'" in client.refused("spawn", handle=handle)
    assert "No such file" in client.refused("copy_in", handle=handle, src_path="/nowhere", dst_path="/tmp")
    assert client.ask("list")["handles"] == ["one"]


def test_limits_hold_in_a_container(client: Client) -> None:
    handle = client.ask("create", limits={"processes": 12})["handle"]
    many = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 600 >&- 2>&- & done; echo all"
    done = client.ask("run", handle=handle, script=many)
    assert (done["exit_status"] != 0, done["stdout"]) == (True, "")
    assert "fork" in done["stderr"].lower()
    handle = client.ask("create", limits={"disk_in_bytes": 1 << 20})["handle"]
    large = "head -c 4000000 /dev/zero > /dev/shm/large"
    assert "No space left" in client.ask("run", handle=handle, script=large)["stderr"]


def test_of_ended_jobs_the_last_ones_are_kept(client: Client) -> None:
    handle = client.ask("create")["handle"]
    first = client.ask("spawn", handle=handle, script="echo first")["job_id"]
    assert client.ask("link", handle=handle, job_id=first)["stdout"] == "first\n"
    for _ in range(MOST_ENDED):
        last = client.ask("spawn", handle=handle, script="echo last")["job_id"]
        client.ask("link", handle=handle, job_id=last)
    assert client.ask("link", handle=handle, job_id=last)["stdout"] == "last\n"
    assert f"has no job {first}" in client.refused("link", handle=handle, job_id=first)


def test_an_archive_that_climbs_out_is_refused(client: Client, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    handle = client.ask("create")["handle"]
    script = "mkdir /tmp/x && cd /tmp/x && ln -s / up && ln -s ../../../../../etc down"
    client.ask("run", handle=handle, script=script)
    assert "refused" in client.refused("copy_out", handle=handle, src_path="/tmp/x", dst_path=str(out))
    assert os.listdir(out) == []


def test_half_a_line_and_garbage_harm_nobody(client: Client) -> None:
    path = Path(client._sock.getpeername())
    handle = client.ask("create")["handle"]
    Client(path).half()
    garbage = Client(path)
    garbage._sock.sendall(b"not json\n")
    assert garbage._lines.readline() == b""
    garbage.close()
    assert client.ask("run", handle=handle, script="echo well")["stdout"] == "well\n"


def test_a_container_without_a_client_goes_after_its_grace_time(client: Client) -> None:
    client.ask("create", handle="brief", grace_time=0)
    while client.ask("list")["handles"]:
        pass


def test_an_ordinary_user_has_a_service_too(as_user: Account) -> None:
    script = (
        "import json, socket; s = socket.socket(socket.AF_UNIX); s.connect('warden.sock')\n"
        "f = s.makefile('rwb', 0)\n"
        "def ask(**m):\n f.write(json.dumps({'version': 1, **m}).encode() + b'\\n')\n"
        " return json.loads(f.readline())\n"
        "h = ask(request='create')['handle']; print(ask(request='run', handle=h, script='id -u')['stdout'])"
    )
    with warden(as_user):
        done = as_user.run(as_user.python("-c", script))
    assert (done.returncode, done.stdout.strip()) == (0, "1000"), done.stderr
