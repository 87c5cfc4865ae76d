"""Attacks on other worlds, and on other programs of who started them: by taking all of what the kernel counts
by user or for the whole machine, and by signals to everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import accounts
import pytest
from accounts import Account
from attack import Attack, answers
from attacking import Field

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
pytest_plugins = ["running", "ground"]

SCRIPT = Path(__file__).with_name("neighbours.py")
SHARE = "a world has a share of its own, set in its user namespace"


def hoard(name: str, what: str, stopped: str, wall: str = SHARE) -> Attack:
    """A row of the table."""
    return Attack(name, what, "two programs of a user", wall, answers(stopped))


HOARDS = [
    hoard("signals", "all signals that may wait (RLIMIT_SIGPENDING)", "EAGAIN"),
    hoard("timers", "all POSIX timers", "EAGAIN"),
    hoard("watchers", "all instances of inotify", "EMFILE"),
    hoard("queues", "all message queues (RLIMIT_MSGQUEUE)", "EMFILE"),
    hoard("locked", "all memory that may be locked (RLIMIT_MEMLOCK)", "ENOMEM"),
    hoard("terminals", "all terminals of the machine", "ENOSPC"),
    hoard("processes", "all processes that it may have", "EAGAIN"),
    hoard("requests", "all requests of the machine by io_setup(2)", "EPERM", "the system call filter"),
]
EVERYBODY = [
    Attack(
        "", f"SIGKILL to all that it sees (kill(2) of -1), by {who}", "a pid namespace of the account", wall
    )
    for who, wall in (
        ("the app", "the pid namespace: it ends what is its own, and not process 1"),
        ("a second program", "the pid namespace: it ends the app with it, and no other world"),
    )
]
ATTACKS = {
    "test_what_a_world_takes_all_of_is_left_to_others": HOARDS,
    "test_a_signal_to_everybody_ends_at_the_world": EVERYBODY,
}
# Two programs in one user namespace with little of everything: the second gets nothing of what the first has.
TOGETHER = """
import json, resource, subprocess, sys
small = {"SIGPENDING": 50, "MSGQUEUE": 200_000, "MEMLOCK": 1 << 17, "NPROC": 30}
for name, most in small.items():
    resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
with open("/proc/sys/user/max_inotify_instances", "w") as file:
    file.write("8")
options = "newinstance,ptmxmode=666,max=8"
subprocess.run(["mount", "-t", "devpts", "-o", options, "pts", "/dev/pts"], check=True)
found = {}
pipe = subprocess.PIPE
for name in sys.argv[2:]:
    first = [sys.executable, sys.argv[1], name, *(["8"] if name == "requests" else [])]
    with subprocess.Popen(first, stdin=pipe, stdout=pipe, text=True) as holding:
        taken = holding.stdout.readline().strip()
        try:
            second = subprocess.run([sys.executable, sys.argv[1], name, "1"], stdout=pipe, text=True).stdout
        except BlockingIOError:
            second = "0 EAGAIN"  # it cannot even be started
    found[name] = [taken, second.strip()]
print(json.dumps(found))
"""
KILLING = "import os, signal; os.kill(-1, signal.SIGKILL)"


@pytest.fixture
def ordinary() -> Iterator[Account]:
    """An ordinary user, who is never above limits as root is."""
    name = "user"
    if reason := accounts.why_not(name):
        pytest.skip(reason)
    with accounts.account(name) as made:
        yield made


def side_by_side(ground: Field, what: str, *words: str) -> dict[str, list[str]]:
    argv = ground.account.python(str(SCRIPT), what, *words)
    done = ground.account.run(argv, timeout=110)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def together(account: Account, program: Path) -> dict[str, list[str]]:
    own = ["unshare", "--user", "--map-root-user", "--mount", "--ipc"]
    done = account.run(
        [*own, "/usr/bin/python3", "-c", TOGETHER, str(program), *(each.name for each in HOARDS)]
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("attack", HOARDS, ids=lambda attack: attack.name)
def test_what_a_world_takes_all_of_is_left_to_others(
    attack: Attack, ground: Field, ordinary: Account
) -> None:
    program = ground.programs / "hoards.py"
    names = [each.name for each in HOARDS]
    taken, beside, before, outside = ground.once(
        "hoards", lambda: side_by_side(ground, "hoards", str(program), *names)
    )[attack.name]
    assert taken.split()[1] in attack.answers
    live = ground.once("together", lambda: together(ordinary, program))[attack.name]
    if (
        attack.name == "requests"
    ):  # of the whole machine: that it may be made at all is shown, and not all taken
        assert (live[0], taken, beside, outside) == ("8 goal", "0 EPERM", "0 EPERM", "1 goal")
        return
    assert live[0].split()[1] in attack.answers
    assert live[1] == f"0 {live[0].split()[1]}"
    assert int(taken.split()[0]) > 0
    assert (beside.split()[1], outside) == ("goal", before)


def test_a_signal_to_everybody_ends_at_the_world(ground: Field) -> None:
    own = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    script = 'sleep 1000 & /usr/bin/python3 -c "$0"; wait $!; echo $?'
    live = ground.account.run([*own, "sh", "-c", script, KILLING])
    assert live.stdout.split() == ["137"], live.stderr
    held = side_by_side(ground, "kills")
    assert held == {"child": -9, "after": "well", "app": -9, "beside": "here"}
