"""Every example runs as it stands, as root and as an ordinary user."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import subprocess
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from accounts import Account

from libos.kernel import landlock

pytestmark = pytest.mark.system

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PAGE = (EXAMPLES / "web/site/index.html").read_bytes()


def free_port() -> int:
    """A port that nobody listens on; somebody might take it, but not on a quiet machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_hello_prints_its_file_and_sees_nothing_but_its_mounts(as_user: Account) -> None:
    done = as_user.run(as_user.libos("run", str(EXAMPLES / "hello/hello.toml")))
    assert done.returncode == 0, done.stderr
    first, _, top = done.stdout.partition("\n")
    assert first == "Hello from a world that holds only what its manifest names."
    assert {"usr", "etc", "hello.txt", "proc"} <= set(top.split())
    assert not {"home", "root", "var", "opt"} & set(top.split())


def test_agent_does_its_job_and_gets_nothing_else(as_user: Account) -> None:
    with socket.socket() as other:  # its port is taken where it looks first, by this or by another one
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            other.bind(("127.0.0.1", 8765))
            other.listen()
        done = as_user.run(as_user.python(str(EXAMPLES / "agent/demo.py")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bolt,1200,132.0" in done.stdout
    assert "project/ is as it was: README.txt, inventory.csv" in done.stdout
    shown = re.findall(r"\$ make demo\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(), re.DOTALL)[0]
    may_differ = ("…", "kill process 1", "connect to this machine's ssh", "tcp!localhost!22")
    wanted = [line for line in shown.splitlines() if not any(each in line for each in may_differ)]
    assert [line for line in wanted if line not in done.stdout.splitlines()] == []
    tried = dict(re.findall(r"^  (\S.*?)  +(\S.*)$", done.stdout, re.MULTILINE))
    assert tried["read /etc/shadow"].startswith("FileNotFoundError")
    assert tried["list /home"].startswith("FileNotFoundError")
    assert tried["write into /usr/bin"].endswith("Read-only file system")
    assert tried["connect to 1.1.1.1 port 443"].startswith("ConnectionRefusedError")
    assert tried["look up collector.example"].startswith("gaierror")
    assert tried["connect to this machine's ssh"].startswith("ConnectionRefusedError")
    scoped = landlock.abi() >= landlock.ABI_SCOPES
    nothing = "PermissionError: Operation not permitted" if scoped else "worked: 'it lives on'"
    assert tried["kill process 1"] == nothing
    for refused in ("path  /etc/shadow", "path  /home", "name  collector.example", "dial  tcp!1.1.1.1!443"):
        assert f"1x {refused}" in done.stdout


@pytest.mark.soak
def test_the_agent_is_drawn_for_the_pictures(as_user: Account) -> None:
    script, picture = EXAMPLES.parent / "scripts/watch_picture.py", as_user.folder / "watch.svg"
    done = as_user.run(as_user.python(str(script), str(picture)))
    assert done.returncode == 0, done.stderr
    assert "/etc/shadow" in picture.read_text()


def test_library_streams_while_a_function_answers(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLES / "library.py")))
    assert done.returncode == 0, done.stderr
    answers = re.findall(r"the app wrote \"answer (\d), at", done.stdout)
    assert answers == ["1", "2", "3"], done.stdout
    assert done.stdout.endswith("it ended with 0\n")


def test_live_shows_a_view_that_changes(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLES / "live/live.py")))
    assert done.returncode == 0, done.stderr
    before, granted, hidden, reading, revoked, end = done.stdout.split("\n\n")
    assert "a key" not in before
    assert "a note\na key\n" in granted
    assert "a key" not in hidden
    assert "a note" in hidden
    assert "notes.txt: Read-only file system" in reading
    assert "cat: /data/notes.txt: No such file or directory" in revoked
    assert "cat: -: Input/output error" in revoked
    assert end == "on the host, notes.txt has 3 lines\n"


@contextmanager
def web(as_user: Account, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The web example on another port than its own, since a test takes no fixed one; ends with the block."""
    folder = as_user.folder / "web"
    folder.mkdir()
    text = (EXAMPLES / "web/web.toml").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    (folder / "web.toml").write_text(text.replace('"site"', f'"{EXAMPLES / "web/site"}"'))
    command = as_user.command(*as_user.libos("run", str(folder / "web.toml")))
    environment = as_user.environment | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as server:
        try:
            yield server
        finally:
            server.terminate()


def fetch(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        body: bytes = answer.read()
        return body


def fetch_when_ready(port: int, seconds: float = 20) -> bytes:
    """Fetch once the server answers: before it listens, connections are refused or reset."""
    end = time.monotonic() + seconds
    while True:
        try:
            return fetch(port)
        except OSError:
            if time.monotonic() > end:
                raise


@pytest.mark.soak_accounts("root")
def test_web_answers_on_the_loopback_address_alone(as_user: Account) -> None:
    port = free_port()
    with web(as_user, port):
        assert fetch_when_ready(port) == PAGE
        listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
        places = [line.split()[1] for line in listening if line.split()[3] == "0A"]
        assert [place for place in places if place.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
        assert f":{port:04X} " not in Path("/proc/net/tcp6").read_text()
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        fetch(port)


def fetch_ten_times(port: int) -> list[bytes]:
    """Ten requests over one connection. The server's backlog is 5: connecting may take several SYNs."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        bodies = []
        for _ in range(10):
            connection.request("GET", "/")
            bodies.append(connection.getresponse().read())
        return bodies
    finally:
        connection.close()


@pytest.mark.soak_accounts("root")
def test_web_serves_fifty_connections_at_once(as_user: Account) -> None:
    port = free_port()
    with web(as_user, port):
        fetch_when_ready(port)
        with ThreadPoolExecutor(50) as pool:
            bodies = list(pool.map(fetch_ten_times, [port] * 50))
    assert bodies == [[PAGE] * 10] * 50


def test_shell_is_a_terminal_with_a_scratch_home(as_user: Account) -> None:
    command = as_user.command(*as_user.libos("run", str(EXAMPLES / "shell/shell.toml")))
    shell = pexpect.spawn(
        command[0], command[1:], env=as_user.environment | {"TERM": "xterm"}, encoding="utf-8", timeout=30
    )
    try:
        shell.sendline(
            "echo in $PWD as $(id -un) at $(hostname); tty; stty size; echo kept > $HOME/file; exit 3"
        )
        shell.expect(r"in /home/app as app at world")
        shell.expect(r"/dev/pts/\d+")
        shell.expect(r"24 80")
        shell.expect(pexpect.EOF)
    finally:
        shell.close()
    assert shell.exitstatus == 3
    assert not (as_user.folder / "file").exists()


@pytest.mark.soak_accounts("root")
def test_every_manifest_passes_check(as_user: Account) -> None:
    found = {path: tomllib.loads(path.read_text()) for path in sorted(EXAMPLES.rglob("*.toml"))}
    # What another one includes is no manifest by itself: it is checked where it is included.
    parts = {path.parent / part for path, raw in found.items() for part in raw.get("include", ())}
    manifests = {path: raw for path, raw in found.items() if path not in parts}
    assert len(manifests) >= 6
    for path, raw in manifests.items():
        assert raw["libos"] == 1
        command = ["up", "--check"] if "world" in raw else ["check"]
        done = as_user.run(as_user.libos(*command, str(path)))
        assert done.returncode == 0, done.stderr


def test_services_lead_out_of_a_world_and_are_taken_back(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLES / "services/services.py")))
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "in /run: clock.sock db.sock",
        "bolts: 1200",
        "washers: none",
        "the time: half past nine",
        "by p1 from outside: hello, world",
        "after the revoke: No such file or directory",
    ):
        assert line in done.stdout.splitlines()
