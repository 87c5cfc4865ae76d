"""Layers in real worlds, as a manifest asks for them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pexpect
import pytest
import trio
from accounts import Account

import libos
from libos.asking import Asked, OnAsk
from libos.events import Event

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

NULL, PIPE = subprocess.DEVNULL, subprocess.PIPE

EVERYTHING = """
libos = 1
include = ["base"]

[app]
command = ["sh", "-c", '''
ls -A /hide /only
cat /hide/.env; echo x > /hide/new.pem; echo more >> /log/log; echo less > /log/log
head -c 100 /dev/zero > /quota/a; head -c 30 /dev/zero > /quota/b
cat /count/key; cat /count/key; cat /count/key
cat /fault/key; cat /fault/other
ls /audit >/dev/null
''']

[[mount]]
at = "/hide"
host = "./tree"
mode = "copy-on-write"
hide = [".env", "*.pem"]

[[mount]]
at = "/only"
host = "./tree"
only = ["*.pem"]

[[mount]]
at = "/log"
host = "./log"
mode = "read-write"
append_only = true

[[mount]]
at = "/quota"
memory = "1M"
quota = { size = 120, files = 2 }

[[mount]]
at = "/count"
host = "./tree"
count = { bytes_read = 10 }

[[mount]]
at = "/fault"
host = "./tree"
fault = { rate = 1, errors = ["ENOSPC"], match = ["key"] }

[[mount]]
at = "/audit"
host = "./tree"
audit = true
"""


def make_tree(account: Account) -> Path:
    for name, text in {
        "tree/.env": "secret", "tree/a.pem": "pem", "tree/key": "12345678", "tree/other": "other\n",
        "log/log": "one\n",
    }.items():  # fmt: skip
        path = account.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for path in account.folder.rglob("*"):
        os.chown(path, account.uid, account.folder.stat().st_gid)
    manifest = account.folder / "all.toml"
    manifest.write_text(EVERYTHING)
    return manifest


def test_every_key_of_a_manifest_lays_its_layer(as_user: Account) -> None:
    manifest = make_tree(as_user)
    done = as_user.run(as_user.libos("run", "--events", "events", str(manifest)))
    assert done.stdout == "/hide:\nkey\nother\n\n/only:\na.pem\n12345678" + "12" + "other\n", done.stderr
    said = done.stderr
    for line in (
        "/hide/.env: No such file", "cannot create /hide/new.pem: Permission denied",
        "cannot create /log/log: Operation not permitted", "Disk quota exceeded",
        "/count/key: Disk quota exceeded", "/fault/key: No space left on device",
    ):  # fmt: skip
        assert line in said, said
    assert (as_user.folder / "log/log").read_text() == "one\nmore\n"
    assert (as_user.folder / "tree/.env").read_text() == "secret"
    events = [json.loads(line) for line in (as_user.folder / "events").read_text().splitlines()]
    assert {event["operation"] for event in events if event["kind"] == "audit"} >= {"readdir", "stat"}
    (counts,) = events[-1]["counts"]
    assert (counts["at"], counts["reads"] >= 3, counts["bytes_read"]) == ("/count", True, 10)
    assert counts["sha256_read"] == hashlib.sha256(b"1234567812").hexdigest()


# --- ask


def world(folder: Path, *command: str, **keys: Any) -> dict[str, Any]:
    """A manifest that shows a folder at /d and asks for each file of it."""
    mount = {"at": "/d", "host": str(folder), "ask": True, **keys}
    return {"include": ["python"], "app": {"command": list(command)}, "mount": [mount]}


async def run(manifest: dict[str, Any], on_ask: OnAsk) -> tuple[int, str, list[Event]]:
    """Runs to the end: the status, what was written, the events."""
    async with libos.Supervisor(on_ask=on_ask) as supervisor, supervisor.events() as reader:
        app = await supervisor.start(manifest, stdin=NULL, stdout=PIPE, stderr=subprocess.STDOUT)
        events = [event async for event in until_exit(reader)]
        assert app.stdout is not None
        text = b"".join([chunk async for chunk in app.stdout])
        status = await app.wait()
        await app.aclose()
    return status.returncode, text.decode(), events


async def until_exit(reader: AsyncIterator[Event]) -> AsyncIterator[Event]:
    async for event in reader:
        yield event
        if event.kind == "app.exit":
            return


def answers(events: list[Event]) -> list[tuple[object, object, object]]:
    fields = ("path", "answer", "by")
    return [tuple(event.fields[each] for each in fields) for event in events if event.kind == "answer"]  # type: ignore[misc]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / name).write_text(f"text of {name}\n")
    return tmp_path


async def test_a_callback_answers_and_what_it_refuses_is_absent(folder: Path) -> None:
    async def on_ask(asked: Asked) -> str:
        await trio.lowlevel.checkpoint()
        return {"/d/a": "once", "/d/b": "no", "/d/c": "always"}[asked.path]

    script = "cat /d/a; cat /d/b; cat /d/c /d/c; ls /d"
    status, text, events = await run(world(folder, "sh", "-c", script), on_ask)
    assert (status, text) == (
        0,
        "text of a\ncat: /d/b: No such file or directory\ntext of c\ntext of c\na\nc\n",
    )
    assert answers(events) == [
        ("/d/a", "once", "callback"), ("/d/b", "no", "callback"), ("/d/c", "always", "callback"),
    ]  # fmt: skip
    assert [event.fields["path"] for event in events if event.kind == "ask"] == ["/d/a", "/d/b", "/d/c"]


@pytest.mark.parametrize("answer", [RuntimeError("a bug"), "perhaps", 3])
async def test_a_callback_that_fails_says_no_and_an_event_tells_why(folder: Path, answer: Any) -> None:
    def on_ask(asked: Asked) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    status, text, events = await run(world(folder, "cat", "/d/a"), on_ask)
    assert (status, text) == (1, "cat: /d/a: No such file or directory\n")
    assert answers(events) == [("/d/a", "no", "callback")]
    (error,) = [event for event in events if event.kind == "error"]
    assert "the callback that answers questions failed" in str(error.fields["reason"])


async def test_nobody_answers_and_that_means_no(folder: Path) -> None:
    manifest = world(folder, "cat", "/d/a", ask={"timeout": "200ms"})
    status, text, events = await run(manifest, lambda asked: None)
    assert (status, text) == (1, "cat: /d/a: No such file or directory\n")
    assert answers(events) == [("/d/a", "no", "timeout")]


@pytest.mark.parametrize("live", [False, True])
async def test_what_is_mounted_on_a_file_of_it_is_not_asked_about(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, live: bool
) -> None:
    other = tmp_path_factory.mktemp("other") / "file"
    other.write_text("text of another\n")
    mounts = [{"at": "/d/a", "host": str(other)}, {"at": "/d/b", "text": "words\n"}]
    asked_for: list[str] = []

    def on_ask(asked: Asked) -> str:
        asked_for.append(asked.path)
        return "no" if asked.path == "/d/c" else "once"

    script = "read line; cat /d/a /d/b; cat /d/c; stat -c %s /d/a; grep -c ' /d/[ab] ' /proc/self/mountinfo"
    manifest = world(folder, "sh", "-c", script)
    if not live:
        manifest["mount"] += mounts
    async with libos.Supervisor(on_ask=on_ask) as supervisor:
        app = await supervisor.start(manifest, stdin=PIPE, stdout=PIPE, stderr=subprocess.STDOUT)
        for mount in mounts if live else ():
            await app.mount(str(mount["at"]), {key: mount[key] for key in mount if key != "at"})
        assert app.stdin is not None
        assert app.stdout is not None
        await app.stdin.send_all(b"go\n")
        text = b"".join([chunk async for chunk in app.stdout]).decode()
        await app.wait()
        await app.aclose()
    assert text == "text of another\nwords\ncat: /d/c: No such file or directory\n16\n2\n"
    assert asked_for == ["/d/c"]


async def test_nothing_is_mounted_on_a_file_that_was_refused(folder: Path) -> None:
    script = "cat /d/a; echo :; read line; cat /d/a; cat /d/b"
    async with libos.Supervisor(on_ask=lambda asked: "no" if asked.path == "/d/a" else "once") as supervisor:
        manifest = world(folder, "sh", "-c", script)
        app = await supervisor.start(manifest, stdin=PIPE, stdout=PIPE, stderr=subprocess.STDOUT)
        assert app.stdin is not None
        assert app.stdout is not None
        said = b""
        while b":" not in said:
            said += await app.stdout.receive_some()
        with pytest.raises(FileNotFoundError, match="mount point /d/a"):
            await app.mount("/d/a", {"text": "words\n"})  # it is absent in the world
        assert "/d/a" not in [grant.at for grant in app.grants]
        await app.stdin.send_all(b"go\n")
        said += b"".join([chunk async for chunk in app.stdout])
        await app.wait()
        await app.aclose()
    refused = "cat: /d/a: No such file or directory\n"
    assert said.decode() == f"{refused}:\n{refused}text of b\n"


MANY = """
import os, sys, threading
threading.stack_size(65536)
def wait(name):
    try:
        os.open("/d/" + name, os.O_RDONLY)
    except OSError:
        pass
for part in range(int(sys.argv[1])):
    if os.fork() == 0:
        for each in range(int(sys.argv[2])):
            threading.Thread(target=wait, args=(f"{part}-{each}",)).start()
        for thread in threading.enumerate()[1:]:
            thread.join()
        os._exit(0)
for part in range(int(sys.argv[1])):
    os.wait()
"""


async def test_five_thousand_operations_wait_when_the_world_is_killed(tmp_path: Path) -> None:
    parts, each_part = 10, 500
    for part in range(parts):
        for each in range(each_part):
            (tmp_path / f"{part}-{each}").touch()
    command = ["python3", "-I", "-S", "-c", MANY, str(parts), str(each_part)]
    many = {**world(tmp_path, *command), "limits": {"processes": 6000}}  # threads count as processes
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(many, stdin=NULL, stdout=NULL)
        await app.questions.beyond(parts * each_part - 1)
        assert len(app.questions.open()) == parts * each_part
        await app.kill()
        assert app.questions.open() == []
        again = await supervisor.start(world(tmp_path, "ls", "/d"), stdin=NULL, stdout=NULL)
        assert (await again.wait()).returncode == 0


async def test_a_thousand_questions_are_answered_at_once(tmp_path: Path) -> None:
    for part in range(2):
        for each in range(500):
            (tmp_path / f"{part}-{each}").write_text("x")
    command = ["python3", "-I", "-S", "-c", MANY, "2", "500"]
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(world(tmp_path, *command), stdin=NULL, stdout=NULL)
        await app.questions.beyond(999)
        for asked in app.questions.open():
            app.questions.answer(asked.id, "always")
        assert (await app.wait()).returncode == 0
        with pytest.raises(libos.SupervisorError, match="no open question 1"):
            app.questions.answer(1, "no")


# --- narrowing

LOOKING = """
touch /d/x/sub/here /m/y/sub/here
while read line; do ls -A /d/x /d/x/sub /m/y /m/y/sub; echo --; done
"""


async def test_what_is_mounted_below_stays_when_layers_come(tmp_path: Path) -> None:
    (tmp_path / "x/sub").mkdir(parents=True)
    (tmp_path / "x/a.pem").touch()
    mounts = [
        {"at": "/d", "host": str(tmp_path), "hide": ["*.none"]},
        {"at": "/d/x/sub", "memory": "1M"},
        {"at": "/m", "memory": "1M"},
        {"at": "/m/y", "host": str(tmp_path / "x"), "hide": ["*.none"]},
        {"at": "/m/y/sub", "memory": "1M"},
    ]
    manifest = {"include": ["base"], "app": {"command": ["sh", "-c", LOOKING]}, "mount": mounts}
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(manifest, stdin=PIPE, stdout=PIPE)
        assert app.stdin is not None and app.stdout is not None

        async def look() -> str:
            assert app.stdin is not None and app.stdout is not None
            await app.stdin.send_all(b"\n")
            text = b""
            while not text.endswith(b"--\n"):
                chunk = await app.stdout.receive_some()
                assert chunk
                text += chunk
            return text.decode().replace("\n", " ")

        seen = "/d/x: a.pem sub  /d/x/sub: here  /m/y: a.pem sub  /m/y/sub: here -- "
        assert await look() == seen
        for at in ("/d", "/m/y"):
            await app.grants.get(at).narrow(hide=["*.pem"])
        assert await look() == seen.replace("a.pem ", "")
        await app.kill()
        await app.aclose()


# --- libos ask


def test_another_terminal_lists_and_answers(as_user: Account) -> None:
    make_tree(as_user)
    manifest = as_user.folder / "ask.toml"
    manifest.write_text(
        'libos = 1\ninclude = ["base"]\napp.name = "asker"\n'
        'app.command = ["sh", "-c", "cat /d/key /d/other /d/.env"]\n'
        'mount = [{ at = "/d", host = "./tree", ask = true }]\n'
    )
    read_fd, write_fd = os.pipe()
    running = as_user.start(
        as_user.libos("run", "--events", str(write_fd), str(manifest)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[write_fd],
    )
    os.close(write_fd)
    with running, open(read_fd) as events:
        try:
            answer_from_another_terminal(as_user, events)
        except BaseException:
            running.terminate()
            raise
        output = running.communicate()[0]
    assert running.returncode == 1
    told, _, rest = output.partition("\n")
    assert told == "libos: the app waits to open /d/key: answer with `libos ask asker`"
    assert rest == "12345678other\ncat: /d/.env: No such file or directory\n"


def answer_from_another_terminal(as_user: Account, events: Iterable[str]) -> None:
    """Three questions, the first of them with some mistakes; returns after the world's end."""
    lines = iter(events)

    def question() -> int:
        event = next(json.loads(line) for line in lines if '"kind": "ask"' in line)
        assert isinstance(event["id"], int)
        return event["id"]

    first = question()
    listed = as_user.run(as_user.libos("ask", "asker"))
    assert listed.stdout.split() == ["ID", "WANTS", "TO", "WHAT", "1", "stat", "/d/key"], listed.stderr
    shown = json.loads(as_user.run(as_user.libos("ask", "asker", "--json")).stdout)
    assert shown == {"version": 1, "questions": [{"id": 1, "path": "/d/key", "operation": "stat"}]}
    for arguments, status, message in (
        (["asker", "77", "once"], 125, "no open question 77"),
        (["asker", str(first)], 2, "say what the answer is"),
        (["asker", str(first), "perhaps"], 2, "'perhaps' is not one of"),
        (["nobody", "1", "no"], 125, "nobody"),
    ):
        failed = as_user.run(as_user.libos("ask", *arguments))
        assert (failed.returncode, message in failed.stderr) == (status, True), failed.stderr
    for number, answer in ((first, "once"), (None, "always"), (None, "no")):
        answered = as_user.run(as_user.libos("ask", "asker", str(number or question()), answer))
        assert (answered.returncode, answered.stderr) == (0, "")
    assert [json.loads(line)["kind"] for line in lines][-1] == "app.exit"


def test_at_a_terminal_each_question_is_asked_as_it_comes(as_user: Account) -> None:
    make_tree(as_user)
    manifest = as_user.folder / "ask.toml"
    manifest.write_text(
        'libos = 1\ninclude = ["base"]\napp.name = "asker-by-hand"\n'
        'app.command = ["sh", "-c", "read go; cat /d/key /d/other /d/.env"]\n'
        'mount = [{ at = "/d", host = "./tree", ask = true }]\n'
    )
    running = as_user.start(
        as_user.libos("run", str(manifest)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert running.stdin is not None
    with running:
        try:
            wait_for_world(as_user, "asker-by-hand")
            argv = as_user.command(*as_user.libos("ask", "asker-by-hand"))
            person = pexpect.spawn(
                argv[0], argv[1:], env=as_user.environment, cwd=str(as_user.folder), timeout=30
            )
            person.expect_exact("Waiting for what asker-by-hand wants to open")
            running.stdin.write("go\n")
            running.stdin.flush()
            for path, typed in (("key", "o"), ("other", "what?"), ("[n]o: ", "always"), (".env", "n")):
                person.expect_exact(path)
                person.sendline(typed)
            person.expect_exact("asker-by-hand has ended.")
            person.expect(pexpect.EOF)
            person.close()
        except BaseException:
            running.terminate()
            raise
        output = running.communicate()[0]
    assert person.exitstatus == 0
    assert output.endswith("12345678other\ncat: /d/.env: No such file or directory\n"), output


def wait_for_world(as_user: Account, name: str) -> None:
    """Returns once the world answers on its socket."""
    while as_user.run(as_user.libos("ask", name, "--list")).returncode:
        pass
