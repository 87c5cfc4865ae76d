"""The example of Plan 9's namespaces runs as it stands, as root and as an ordinary user."""

from __future__ import annotations

from pathlib import Path

import pytest
from accounts import Account

pytestmark = pytest.mark.system

EXAMPLE = Path(__file__).parent.parent.parent / "examples/plan9"


@pytest.mark.soak_accounts("root")
def test_plan9_shows_a_union_and_prints_itself_back(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLE / "demo.py")))
    assert done.returncode == 0, done.stdout + done.stderr
    union, printed, dropped = done.stdout.split("--- ")[1:]
    lines = union.splitlines()
    assert lines[1:6] == [
        "hello from mine",
        "a report from the team",
        "It's a small world.",
        "/tmp",
        "made inside",
    ]
    assert lines[6].endswith("Read-only file system")
    names = lines[-2].split()
    assert names[2] == names[4]  # each name once
    assert lines[-1] == "/host-bin is the host's own"
    assert f"bind -b '#host{EXAMPLE.resolve()}/mine' /bin\n" in printed
    assert printed.splitlines()[-2:] == [
        "run again, the world is the same",
        "printed again, the text is the same",
    ]
    assert dropped.splitlines()[1:] == [
        *("hello", "hello", "2"),
        "ls: cannot access '/data': No such file or directory",
        "ls: cannot access '/here-too': No such file or directory",
        "0",
        "bash: line 7: echo: write error: Invalid argument",
        "what is dropped cannot be dropped again, nor taken back",
    ]


@pytest.mark.soak_accounts("root")
def test_the_file_runs_and_prints_from_the_command_line(as_user: Account) -> None:
    options = ["-e", f"here={EXAMPLE}", "-e", "PATH=/bin", "--namespace", str(EXAMPLE / "plan9.ns")]
    done = as_user.run(as_user.libos("run", *options, "--", "hello"))
    assert (done.stdout, done.returncode) == ("hello from mine\n", 0), done.stderr
    printed = as_user.run(as_user.libos("ns", *options)).stdout
    assert printed.endswith("cd /tmp\n")
    file = as_user.folder / "printed.ns"
    file.write_text(printed)
    again = as_user.run(as_user.libos("ns", "--namespace", str(file))).stdout
    assert again == printed
    explained = as_user.run(as_user.libos("explain", *options)).stdout
    assert explained.count("a union of 4 directories") == 4
    assert f"{EXAMPLE / 'plan9.ns'}:" in explained
    wrong = as_user.run(
        as_user.libos("run", *options[:4], "--namespace", str(EXAMPLE / "demo.py"), "--", "hello")
    )
    assert wrong.returncode == 2
    assert "demo.py:1: " in wrong.stderr
