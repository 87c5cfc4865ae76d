"""A program is learned, and what is learned runs it: ten real programs, three of them each time.

In the long suite each of the ten is learned, trimmed, proven, and run by what is left.
"""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

from benchmarks.scenes import PROGRAMS, Program, web_server

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A local web server's."""
    with web_server(tmp_path) as port:
        yield port


@pytest.fixture
def project(as_user: Account) -> Path:
    """A folder below the account's home."""
    folder = as_user.folder / "project"
    as_user.run(["mkdir", str(folder)])
    return folder


def learn(account: Account, project: Path, *words: str) -> tuple[int, str, str]:
    ran = account.run(account.libos("learn", *words), cwd=project)
    return ran.returncode, ran.stdout, ran.stderr


def learned(project: Path, name: str) -> dict[str, Any]:
    return tomllib.loads((project / name).read_text())


def each(*names: str) -> pytest.MarkDecorator:
    """A test of each of these programs."""
    chosen = [program for program in PROGRAMS if program.name in names]
    return pytest.mark.parametrize("program", chosen, ids=[program.name for program in chosen])


def does_its_job(account: Account, project: Path, program: Program, *words: str) -> None:
    """The program does it, by a command of libos."""
    ran = account.run(account.libos(*words), cwd=project)
    assert (ran.returncode, program.prints in ran.stdout) == (0, True), (words, ran.stdout, ran.stderr)


def learn_program(account: Account, project: Path, program: Program, port: int) -> None:
    """Learns it in a new project, beside which ../app.toml is then."""
    made = account.run(["sh", "-c", program.setup], cwd=project)
    assert made.returncode == 0, made.stderr
    does_its_job(account, project, program, "learn", "-o", "../app.toml", *program.learning(port))
    mounts = learned(project.parent, "app.toml")["mount"]
    assert "/usr" not in [mount["at"] for mount in mounts]


@each("git", "sqlite3", "web app")
def test_what_is_learned_runs_the_program(
    as_user: Account, project: Path, program: Program, port: int
) -> None:
    learn_program(as_user, project, program, port)
    does_its_job(as_user, project, program, "run", "../app.toml")


@pytest.mark.soak
@pytest.mark.timeout(900)
@each(*(program.name for program in PROGRAMS))
def test_each_is_learned_trimmed_proven_and_runs(
    as_user: Account, project: Path, program: Program, port: int
) -> None:
    """Of what is proven, one grant less is too few: that is what the proof has seen."""
    learn_program(as_user, project, program, port)
    for shorter, options in {"trimmed": (), "proven": ("--prove",)}.items():
        output = f"../{shorter}.toml"
        words = ("trim", *options, "-o", output, "../app.toml")
        trim = as_user.run(as_user.libos(*words), cwd=project, timeout=800)
        assert trim.returncode == 0, trim.stderr
        does_its_job(as_user, project, program, "run", output)
    kept = [len(learned(project.parent, f"{name}.toml")["mount"]) for name in ("app", "trimmed", "proven")]
    assert kept == sorted(kept, reverse=True)


def test_a_program_that_fails_is_learned_as_incomplete(as_user: Account, project: Path) -> None:
    status, _, err = learn(
        as_user, project, "-o", "x.toml", "--", "sh", "-c", "cat /etc/debian_version; exit 3"
    )
    assert status == 3
    assert "INCOMPLETE" in err
    assert "# INCOMPLETE: the run ended with status 3" in (project / "x.toml").read_text()
    assert "/etc/debian_version" in [mount["at"] for mount in learned(project, "x.toml")["mount"]]


@pytest.mark.soak_accounts("root")
def test_a_program_that_hangs_is_learned_until_its_time_is_over(as_user: Account, project: Path) -> None:
    status, _, _ = learn(as_user, project, "-o", "x.toml", "--timeout", "1", "--", "sleep", "1000")
    assert status == 124
    assert "# INCOMPLETE" in (project / "x.toml").read_text()


@pytest.mark.soak_accounts("root")
def test_secrets_beside_what_was_used_are_not_shown(as_user: Account, project: Path) -> None:
    script = (
        "mkdir ../.ssh; echo key > ../.ssh/id_rsa; echo host > ../.ssh/config; echo token > .env; echo x > a"
    )
    as_user.run(["sh", "-c", script], cwd=project)
    assert learn(as_user, project, "-o", "../x.toml", "--", "cat", "a", "../.ssh/config")[0] == 0
    manifest = str(project.parent / "x.toml")
    probe = ["sh", "-c", "cat a ../.ssh/config; cat .env ../.ssh/id_rsa"]
    mounts = learned(project.parent, "x.toml")["mount"]
    assert [each["hide"] for each in mounts if "hide" in each] == [["/.env"]]
    seen = as_user.run(
        as_user.libos("run", "-v", "/usr:/usr", "-v", "/bin:/bin", "-v", "/lib:/lib", manifest, "--", *probe)
    )
    assert seen.stdout.split() == ["x", "host"], seen.stderr
    assert seen.stderr.count("No such file") == 2


def test_a_look_at_what_was_listed_before_is_learned(as_user: Account, project: Path) -> None:
    """Of a directory that is not granted whole, and so old that the kernel keeps what its listing tells."""
    script = "ls /usr/bin; test -e /usr/bin/tar"
    status, out, err = learn(as_user, project, "-o", "x.toml", "--", "sh", "-c", script)
    assert (status, {"ls", "tar"} <= set(out.split())) == (0, True), err
    programs = {
        each["at"] for each in learned(project, "x.toml")["mount"] if each["at"].startswith("/usr/bin")
    }
    assert "/usr/bin/tar" in programs
    assert len(programs) <= 5, programs


@pytest.mark.soak_accounts("root")
def test_more_merges_a_second_run_and_keeps_comments(as_user: Account, project: Path) -> None:
    as_user.run(["sh", "-c", "mkdir ../a ../b; echo 1 > ../a/one; echo 2 > ../b/two"], cwd=project)
    one, two = (str(project.parent / each) for each in ("a/one", "b/two"))
    assert learn(as_user, project, "-o", "x.toml", "--", "cat", one)[0] == 0
    text = (project / "x.toml").read_text().replace("libos = 1", "libos = 1 # mine")
    as_user.run(["tee", str(project / "x.toml")], input=text, stdin=None)
    status, _, err = learn(as_user, project, "--more", "x.toml", "--", "cat", two)
    assert status == 0, err
    merged = (project / "x.toml").read_text()
    assert "libos = 1 # mine" in merged
    assert {one, two} <= {mount["at"] for mount in tomllib.loads(merged)["mount"]}
    ran = as_user.run(as_user.libos("run", str(project / "x.toml"), "--", "cat", one, two))
    assert ran.stdout.split() == ["1", "2"], ran.stderr


def test_ports_that_it_serves_are_learned(as_user: Account, project: Path) -> None:
    """It listens until its standard input ends, which is when its listening was told."""
    program = (
        "import socket, sys; s = [socket.create_server(('', port)) for port in (8000, 9000, 0)]; "
        "sys.stdin.read()"
    )
    command = as_user.libos("learn", "-o", "x.toml", "-p", "0:8000", "--events", "1", "--")
    with as_user.start(
        [*command, "/usr/bin/python3", "-c", program],
        cwd=project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdin is not None and run.stdout is not None
        told: dict[int, str] = {}
        while len(told) < 3:
            event = json.loads(run.stdout.readline())
            if event["kind"] == "listen.ready":
                told[event["port"]] = event["publish"]
        run.stdin.close()
        run.stdout.read()
    assert run.returncode == 0
    (free,) = told.keys() - {8000, 9000}
    assert told == {8000: "127.0.0.1:0", 9000: "nowhere", free: "nowhere"}
    listens = {each["port"]: each["publish"] for each in learned(project, "x.toml")["listen"]}
    assert listens == {8000: "127.0.0.1:0", 9000: False}


def test_nothing_is_overwritten(as_user: Account, project: Path) -> None:
    as_user.run(["sh", "-c", "echo mine > x.toml"], cwd=project)
    status, _, err = learn(as_user, project, "-o", "x.toml", "--", "true")
    assert (status, "--more x.toml" in err) == (2, True)
    assert (project / "x.toml").read_text() == "mine\n"
    assert os.listdir(project) == ["x.toml"]
