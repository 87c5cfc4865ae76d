"""`libos grants`, `mount`, `unmount`, `revoke`: changing a running world from another terminal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from accounts import Account

pytestmark = pytest.mark.system

LOOK = "while read line; do cat /extra/word 2>&1; ls /extra 2>&1; echo --; done"


class World:
    """A running world that looks at /extra when it is told to."""

    def __init__(self, account: Account, process: subprocess.Popen[str]) -> None:
        self._account = account
        self._process = process

    def tell(self) -> None:
        """Let it look."""
        assert self._process.stdin is not None
        self._process.stdin.write("look\n")
        self._process.stdin.flush()

    def look(self) -> str:
        """What is there."""
        self.tell()
        assert self._process.stdout is not None
        said = ""
        while not said.endswith("--\n"):
            more = self._process.stdout.readline()
            assert more, said
            said += more
        return said.removesuffix("--\n")

    def libos(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another terminal of the same user."""
        return self._account.run(self._account.libos(*words))


@pytest.fixture
def world(as_user: Account) -> Iterator[World]:
    (as_user.folder / "extra").mkdir(mode=0o755)
    (as_user.folder / "extra" / "word").write_text("granted\n")
    (as_user.folder / "extra" / "key.pem").write_text("key\n")
    with as_user.start(
        as_user.libos("run", "--name", "w", "--", "sh", "-c", LOOK),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        made = World(as_user, process)
        made.look()
        yield made
        process.terminate()


def test_grants_are_listed_made_and_taken_back(world: World) -> None:
    assert "No such file" in world.look()
    done = world.libos("mount", "w", "./extra:/extra", "--hide", "*.pem")
    assert done.returncode == 0, done.stderr
    number = done.stdout.strip()
    assert world.look() == "granted\nword\n"
    listed = json.loads(world.libos("grants", "w", "--json").stdout)["grants"]
    (found,) = [grant for grant in listed if grant["id"] == number]
    assert (found["at"], found["mechanism"]) == ("/extra", "served")
    assert "/usr" in world.libos("grants", "w").stdout
    assert world.libos("revoke", "w", number).returncode == 0
    assert "No such file" in world.look()


def test_a_mount_is_taken_out_by_its_place(world: World) -> None:
    assert world.libos("mount", "w", "extra:/extra:cow").returncode == 0
    assert world.look() == "granted\nkey.pem\nword\n"
    assert "mount -c #cow /extra" in world.libos("ns", "--world", "w").stdout.replace("'", "")
    assert world.libos("unmount", "w", "/extra").returncode == 0
    assert "No such file" in world.look()


def test_a_mount_joins_what_stands_there(world: World) -> None:
    assert world.libos("mount", "w", "extra:/extra:cow").returncode == 0
    first = world.libos("mount", "w", "/etc:/extra:ro,after")
    assert first.returncode == 0, first.stderr
    assert "passwd" in world.look()
    (_, _, line) = world.libos("ns", "--world", "w").stdout.partition("bind -a ")
    assert line.startswith("'#host/etc' /extra\n")
    assert world.libos("mount", "w", "/etc:/extra:before").returncode == 0
    assert world.libos("revoke", "w", first.stdout.strip()).returncode == 0
    assert world.look().startswith("granted\n")
    assert world.libos("unmount", "w", "/extra").returncode == 0
    assert "No such file" in world.look()


def test_a_grant_is_narrowed(world: World) -> None:
    assert world.libos("mount", "w", "extra:/extra:rw").returncode == 0
    assert world.look() == "granted\nkey.pem\nword\n"
    assert world.libos("narrow", "w", "/extra", "--hide", "*.pem", "--read-only").returncode == 0
    assert world.look() == "granted\nword\n"
    refused = world.libos("narrow", "w", "/extra", "--sent", "1M")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "sent cannot be taken from it, only read_only, hide, only" in refused.stderr


def test_a_mount_that_asks_waits_for_the_answer(world: World) -> None:
    assert world.libos("mount", "w", "extra/word:/extra", "--ask").returncode == 0
    world.tell()
    while not (asked := json.loads(world.libos("ask", "w", "--json").stdout)["questions"]):
        pass
    assert asked[0]["path"] == "/extra"
    assert world.libos("ask", "w", str(asked[0]["id"]), "no").returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("mount", "w", "/no/such:/extra"), 2, "the host has no"),
        (("mount", "w", "extra"), 2, "write SRC:AT"),
        (("mount", "w", "extra:/usr"), 2, "mounted already"),
        (("mount", "w", "extra:/etc:after"), 2, "would cover"),
        (("mount", "nobody", "extra:/extra"), 125, "nobody"),
        (("unmount", "w", "/extra"), 125, "libos grants lists what is mounted"),
        (("revoke", "w", "999"), 125, "libos grants lists them"),
        (("narrow", "w", "999", "--read-only"), 125, "libos grants lists them"),
    ],
)
def test_what_cannot_be_done_is_one_message(
    world: World, words: tuple[str, ...], status: int, why: str
) -> None:
    done = world.libos(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "No such file" in world.look()
