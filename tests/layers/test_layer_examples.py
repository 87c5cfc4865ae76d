"""The examples that show layers run as they stand, as root and as an ordinary user."""

from __future__ import annotations

from pathlib import Path

import pexpect
import pytest
from accounts import Account

pytestmark = pytest.mark.system

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_ask_shows_what_was_allowed_and_nothing_else(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLES / "ask/ask.py")))
    assert done.returncode == 0, done.stderr
    assert "Dear Anna" in done.stdout and "Read the letters" in done.stdout
    assert "4711" not in done.stdout and "battery" not in done.stdout
    _, _, seen = done.stdout.partition("in the end:\n")
    assert seen == "/home:\nletters\nplan.md\n\n/home/letters:\nto-anna.txt\n"


def test_ask_by_hand_does_what_is_typed(as_user: Account) -> None:
    argv = as_user.command(*as_user.python(str(EXAMPLES / "ask/ask.py"), "--by-hand"))
    child = pexpect.spawn(argv[0], argv[1:], env=as_user.environment, cwd=str(as_user.folder), timeout=30)
    for path, typed, shown in (
        ("to-anna.txt", "no", "No such file"),
        ("the-bank.txt", "once", "my number is 4711"),
        ("words.txt", "perhaps", ""),  # it is asked again
        ("words.txt", "no", "No such file"),
        ("plan.md", "no", "No such file"),
    ):
        child.expect_exact(f"{path}? once, always or no: ")
        child.sendline(typed)
        child.expect_exact(shown)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_chaos_shows_who_loses_records(as_user: Account) -> None:
    first = as_user.run(as_user.python(str(EXAMPLES / "chaos/chaos.py")))
    again = as_user.run(as_user.python(str(EXAMPLES / "chaos/chaos.py")))
    assert first.returncode == again.returncode == 0, first.stderr
    assert first.stdout == again.stdout  # the same seed, the same faults
    careless, careful = (line for line in first.stdout.splitlines() if "records" in line)
    assert careless == "  status 0, 28 of 200 records"
    assert careful == "  status 0, 200 of 200 records"
