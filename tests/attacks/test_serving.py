"""Attacks on the file server from a world: it answers as a directory of the host does, and goes on."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
import trio
from attack import Attack
from attacking import Field, Outcomes
from booty import scene

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running", "ground"]

WALL = "the server answers as the host's own directory, and others go on"


def serving(name: str, what: str) -> Attack:
    """A row of the table."""
    return Attack(name, what, "a directory of the host", WALL)


SERVED = [
    serving("malformed_names", "29 names that are none, by raw calls"),
    serving("renames_of_malformed_names", "files renamed to such names"),
    serving("links_of_any_length", "links of 1 to 5,000 bytes, and one in a circle"),
    serving("attributes_of_any_name", "extended attributes with long names"),
    serving("a_way_of_many_directories", "a path of 150 directories, down and up"),
    serving("opened_and_closed", "600 opens and closes (100,000 in the soak)"),
    serving("files_made_and_forgotten", "a forget for each file that is made"),
    serving("looked_up_and_not_there", "600 names that are not there"),
    serving("requests_interrupted_by_signals", "a signal each half millisecond while it writes"),
    serving("children_killed_amid_requests", "30 writers killed amid their write"),
    serving("as_many_open_as_may_be", "as many open files as may be"),
    serving("names_changed_amid_a_walk", "directories renamed while others walk through them"),
]
ATTACKS = {
    "test_a_served_tree_under_attack": SERVED,
    "test_a_revoke_amid_opens_leaves_nothing_open": [
        Attack(
            "",
            "opens amid a revoke",
            "before it",
            "the revoke ends what is open, and later opens find nothing",
        )
    ],
    "test_above_a_mount_that_is_gone_is_nothing": [
        Attack("", "`..` out of a mount that was taken back", "before it", "a detached mount has no parent")
    ],
    "test_mounts_that_come_and_go_amid_walks": [
        Attack(
            "",
            "binds and unmounts by /mnt/ns/ctl amid walks",
            "the app's own mounts",
            "init does one after another",
        )
    ],
}


def outcomes(ground: Field, many: int = 600) -> tuple[Outcomes, Outcomes]:
    """What the served tree and a directory of the host answered."""
    with scene(ground.account) as made:
        told = {"place": "/served", "many": many}
        held = ground.in_world("storms", told, key=f"serving {many}", manifest=made.manifest())
        # Another world goes on as if nothing had been.
        assert ground.worlds.run("cat", "/served/other", manifest=made.manifest(app={})).out == "as it was"
    with scene(ground.account) as made:
        live = ground.outside("storms", told | {"place": str(made.folder / "served")})
    return held, live


@pytest.mark.parametrize("attack", SERVED, ids=lambda attack: attack.name)
def test_a_served_tree_under_attack(attack: Attack, ground: Field) -> None:
    held, live = ground.once("serving", lambda: outcomes(ground))
    assert live[attack.name].startswith("got")
    assert held[attack.name] == live[attack.name]


@pytest.mark.soak
@pytest.mark.brief
@pytest.mark.timeout(600)
def test_a_hundred_thousand_opens(ground: Field) -> None:
    with scene(ground.account) as made:
        command = (
            "python3",
            "-c",
            "import os\nfor _ in range(100_000): os.close(os.open('/served/file', 0))",
        )
        assert ground.worlds.run(*command, manifest=made.manifest(app={})).status == 0


OPENING = """
import os, sys
opened, held = 0, []
while True:
    try:
        held.append(os.open("/served/file", os.O_RDONLY)); opened += 1
        if opened == 100: print("ready", flush=True)
        if len(held) > 500: os.close(held.pop(0))
    except OSError as error: break
late = []
for fd in held:
    try: late.append(os.read(fd, 10))
    except OSError: pass
for _ in range(300):
    try: late.append(os.open("/served/file", os.O_RDONLY))
    except OSError: pass
print(opened >= 100, late)
"""


async def run_amid(command: str, grant: str, mounts: list[dict[str, object]]) -> str:
    """A program; a grant of its world is taken back once it has written its first line."""
    manifest = {
        "libos": 1,
        "include": ["python"],
        "mount": mounts,
        "app": {"command": ["python3", "-c", command]},
    }
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert app.stdout is not None and app.stdin is not None
        first = await app.stdout.receive_some(100)
        assert first.startswith(b"ready")
        await next(each for each in app.grants if each.at == grant).revoke()
        with suppress(trio.BrokenResourceError):  # one that waits for no word may have ended by now
            await app.stdin.send_all(b"gone\n")
        rest = b"".join([chunk async for chunk in app.stdout])
        await app.wait()
        await app.aclose()
    return (first + rest).decode()


async def test_a_revoke_amid_opens_leaves_nothing_open(tmp_path: object) -> None:
    (trio.Path(str(tmp_path)) / "file")
    await (trio.Path(str(tmp_path)) / "file").write_text("as it was")
    mount = {"at": "/served", "host": str(tmp_path), "revocable": True}
    assert await run_amid(OPENING, "/served", [mount]) == "ready\nTrue []\n"


ABOVE = """
import os, sys
os.chdir("/work/deep")
above_fd = os.open("..", os.O_PATH)
print("ready", sorted(os.listdir("..")), flush=True)
sys.stdin.readline()
seen = set()
for start in (".", f"/proc/self/fd/{above_fd}", "/proc/self/cwd"):
    for up in range(12):
        try: seen.update(os.listdir(start + "/.." * up))
        except OSError as error: seen.add(error.strerror)
print(sorted(seen - set(os.listdir("/"))))
"""


@pytest.mark.parametrize("revocable", [False, True])
async def test_above_a_mount_that_is_gone_is_nothing(tmp_path: object, revocable: bool) -> None:
    folder = trio.Path(str(tmp_path))
    await (folder / "granted/deep").mkdir(parents=True)
    await (folder / "beside").mkdir()
    mount = {"at": "/work", "host": str(folder / "granted"), "revocable": revocable}
    out = await run_amid(ABOVE, "/work", [mount])
    first, last = out.splitlines()
    assert first == "ready ['deep']"
    assert "beside" not in last and "granted" not in last, last


COMING = """
import os
def order(line):
    try:
        with open("/mnt/ns/ctl", "w") as file: file.write(line + chr(10))
        return 1
    except OSError: return 0
children = []
for _ in range(2):
    children.append(os.fork())
    if children[-1] == 0:
        while os.getppid() != 1:
            for path in ("/b/..", "/b/../b/../secret", "/b/file/..", "/b/bin/../../.."):
                try: os.stat(path)
                except OSError: pass
done = sum(order("bind /work /b") + order("unmount /b") for _ in range(40))
for child in children: os.kill(child, 9); os.waitpid(child, 0)
print(done, sorted(os.listdir("/")) == sorted({*os.listdir("/")}), os.path.exists("/work/file"))
"""


def test_mounts_that_come_and_go_amid_walks(ground: Field) -> None:
    with scene(ground.account) as made:
        app = {"control": True, "command": ["python3", "-c", COMING]}
        done, alike, there = ground.worlds.run(manifest=made.manifest(app=app)).out.split()
    assert int(done) > 40
    assert (alike, there) == ("True", "True")
