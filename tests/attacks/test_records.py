"""Attacks on what is recorded of a run, on its live page, and on the manifest that is learned of it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import trio
from accounts import Account
from attack import Attack

import libos
from libos.events import BACKLOG, Hub
from libos.worlds import pacing

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

ATTACKS = {
    name: [Attack("", what, live, wall)]
    for name, what, live, wall in (
        (
            "test_no_flood_of_names_hides_a_read",
            "a flood of long names that are not there, until no more are kept, and then the read of one file",
            "on the names of the flood: the last ones are not told",
            "names that an app makes up, and those of one mount, take at most half of the room that is left",
        ),
        (
            "test_no_flood_of_absent_names_loses_an_event",
            "absent names outside of every mount, faster than events are read",
            "a reader that reads nothing: it loses events, and is told how many",
            "an app that looks up such names is held up until there is room",
        ),
        (
            "test_an_app_that_reaches_the_live_page_is_not_answered",
            "requests to `libos view` by an app that may dial its port: without the token, with a guessed "
            "one, by another Host, Origin or site",
            "the address that libos view printed, token included",
            "the page answers who has the token, and no foreign name or origin even then",
        ),
        (
            "test_a_program_that_is_learned_gets_no_secret_by_it",
            "files changed beside keys, links with harmless names to keys, and links put where the program "
            "may write while it is learned",
            "in the world of learning, which has the caller's files",
            "no secret is granted in passing, nor by the name of a link; nothing is granted of where the "
            "program could put links",
        ),
    )
}


def events_of(account: Account, code: str, *options: str) -> list[dict[str, object]]:
    """The events of a run of Python code that ends well."""
    options = ("--events", "events", "--include", "python", *options)
    done = account.run(account.libos("run", *options, "--", "python3", "-c", code))
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    return [json.loads(line) for line in (account.folder / "events").read_text().splitlines()]


# Half of what is kept is 10 MB of names: names at the end of a long path fill it soon, shorter ones the rest.
FLOOD = """
import os
def absent(count, size):
    for number in range(count):
        assert not os.path.exists(f"{number:05}".ljust(size, "x"))
os.chdir("/tmp")
for _ in range(14):
    os.mkdir("d" * 250)
    os.chdir("d" * 250)
absent(3000, 250)
os.chdir("/tmp")
absent(500, 20)
open("/granted/one").read()
assert not os.path.exists("/granted/none")
print("done")
"""


def test_no_flood_of_names_hides_a_read(as_user: Account) -> None:
    folder = as_user.folder / "granted"
    as_user.run(["sh", "-c", "mkdir granted; echo > granted/one"])
    told = events_of(as_user, FLOOD, "--record", "-v", f"{folder}:/granted")
    paths = [(event["kind"], event["path"]) for event in told if "path" in event]
    assert ("path.absent", "/tmp/00499xxxxxxxxxxxxxxx") not in paths
    assert sum(int(str(event["count"])) for event in told if event["kind"] == "path.untold") > 500
    assert ("path.used", "/granted/one") in paths
    assert ("path.absent", "/granted/none") in paths


LOOKS = """
import os, socket
for number in range(12_000): os.path.exists(f"/{number}")
with socket.socket() as end: assert end.connect_ex(("127.0.0.1", 9))
"""


async def test_no_flood_of_absent_names_loses_an_event(
    supervisor: libos.Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "PATIENCE", 1000.0)
    hub = Hub()
    with hub.read() as deaf:
        for number in range(12_000):
            hub.emit("path.absent", "w", path=f"/{number}")
        assert deaf.waiting == BACKLOG  # where nobody holds up who makes them
    command = ["python3", "-c", LOOKS]
    told: list[libos.Event] = []
    async with supervisor.events() as events:
        app = await supervisor.start({"include": ["python"], "app": {"command": command}}, name="w")
        while supervisor._hub.room() > pacing.LEFT:  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.01)
        with trio.move_on_after(0.5):  # in which it would make the others too
            await app.wait()
        async for event in events:
            told.append(event)
            if event.kind == "app.exit":
                break
    assert (await app.wait()).returncode == 0
    assert not any("lost" in event.fields for event in told)
    absent = {event.fields["path"] for event in told if event.kind == "path.absent"}
    assert {f"/{number}" for number in range(12_000)} <= absent
    assert [event.fields["port"] for event in told if event.kind == "dial.refused"] == [9]


ASK = """
import http.client, sys
port, host = int(sys.argv[1]), "127.0.0.1:" + sys.argv[1]
def ask(path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    said = {key.replace("_", "-"): each for key, each in headers.items()}
    connection.request("GET", path, headers={"Host": host} | said)
    with connection.getresponse() as answer:
        print(answer.status, answer.getheaders(), answer.read())
for path in ("/", "/?token=", "/?token=guess", "/?token=" + "A" * 43, "/changes", "//", "/../", "/%2e%2e/"):
    ask(path)
for cookie in ("libos-view=", "libos-view=guess", "libos-view"):
    ask("/", Cookie=cookie)
print()
for token in sys.argv[2:]:
    for headers in (
        *({"Host": "rebound.example"}, {"Host": "rebound.example:" + sys.argv[1]}, {"Origin": "null"}),
        *({"Origin": "http://rebound.example"}, {"Sec_Fetch_Site": "cross-site"}),
    ):
        ask("/?" + token, **headers)
"""


@contextmanager
def a_view(account: Account) -> Iterator[str]:
    """The address of a `libos view` of a run."""
    account.run(account.libos("run", "--events", "seen", "--", "true"))
    with account.start(
        account.libos("view", "seen"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as view:
        try:
            assert view.stdout is not None
            yield view.stdout.readline().strip()
        finally:
            view.terminate()


def test_an_app_that_reaches_the_live_page_is_not_answered(as_user: Account) -> None:
    with a_view(as_user) as url:
        parts = urlsplit(url)
        asks = ["--include", "python", "--dial", f"tcp!127.0.0.1!{parts.port}", "--", "python3", "-c"]
        done = as_user.run(as_user.libos("run", *asks, ASK, str(parts.port), parts.query))
        assert parts.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=30)
        connection.request("GET", f"{parts.path}?{parts.query}")
        live = connection.getresponse()
        connection.close()
    assert done.returncode == 0, done.stderr
    guessed, known = (text.splitlines() for text in done.stdout.split("\n\n"))
    assert {line.split()[0] for line in guessed} == {"401"}
    assert [line.split()[0] for line in known] == ["421", "421", "403", "403", "403"]
    folder = live.getheader("Location") or ""
    assert (live.status, len(folder) > 10) == (303, True)
    assert folder not in done.stdout and parts.query not in done.stdout and "Set-Cookie" not in done.stdout


# Each is a way to a manifest that shows more than was used.
WIDENING = """
import os
home = os.environ["HOME"]
open(f"{home}/.ssh/config", "a").write("x")
os.symlink(f"{home}/.ssh/planted", "/put/plain")
os.symlink(f"{home}/all", "/put/folder")
for path in ("put/plain", "put/folder/some", "links/key"): open(f"{home}/{path}").read()
for number in range(200): os.stat(f"{home}/crowd/{number}")
"""
HOME = """
mkdir -p home/.ssh home/put home/all home/links home/work home/crowd
for key in id_rsa planted linked config; do echo > home/.ssh/$key; done
for name in some none; do echo > home/all/$name; done
ln -s ../.ssh/linked home/links/key
cd home/crowd; touch $(seq 0 300) .env
"""


def test_a_program_that_is_learned_gets_no_secret_by_it(as_user: Account) -> None:
    as_user.run(["sh", "-ec", HOME])
    home = as_user.folder / "home"
    environment = as_user.environment | {"HOME": str(home), "PATH": os.defpath}
    learn = as_user.libos("learn", "-o", "../learned.toml", "-v", f"{home}/put:/put:rw")
    argv = [*learn, "--", "/usr/bin/python3", "-c", WIDENING]
    done = as_user.run(argv, env=environment, cwd=home / "work")
    assert done.returncode == 0, done.stderr
    text = (home / "learned.toml").read_text()
    mounts = {each["at"]: each for each in tomllib.loads(text)["mount"]}
    of_home = {at.removeprefix(f"{home}/") for at in mounts if at.startswith(f"{home}/")}
    crowd = {f"crowd/{number}" for number in range(200)}
    # The keys that were read and the file that was changed, each alone and said; nothing by a link.
    assert of_home - crowd == {".ssh/config", ".ssh/planted", ".ssh/linked", "all/some", "work"}
    assert text.count("# SECRET") == 3
    assert f"{home}/put could be changed, and nothing of it is granted besides" in done.stderr
    assert f"{home}/put/plain" not in text and f"{home}/put/folder" not in text
    shown = as_user.run(
        as_user.libos("run", "learned.toml", "--", "/usr/bin/python3", "-c", READ), env=environment, cwd=home
    )
    assert shown.stdout == "config linked planted | some\n", shown.stderr


READ = """
import os
home = os.environ["HOME"]
print(*sorted(os.listdir(f"{home}/.ssh")), "|", *os.listdir(f"{home}/all"))
"""
