"""Programs that have the whole screen work while they are learned, and by what is learned of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from accounts import Account

pytestmark = pytest.mark.system

# Seconds for what a program draws: while it is learned libos itself answers for every file.
_PATIENCE = 50


@pytest.fixture
def project(as_user: Account) -> Path:
    """A folder below the account's home, with a file."""
    folder = as_user.folder / "project"
    script = f"mkdir {folder}; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; done > {folder}/lines"
    assert as_user.run(["sh", "-c", script]).returncode == 0
    return folder


@contextmanager
def screen(account: Account, project: Path, *words: str) -> Iterator[pexpect.spawn[str]]:
    """`libos` with these words, on a terminal of 24 rows; it must end by itself, with status 0."""
    program, *rest = account.command(*account.libos(*words))
    environment = account.environment | {"TERM": "xterm", "LANG": "C.UTF-8", "LESSHISTFILE": "-"}
    child = pexpect.spawn(
        program,
        rest,
        env=environment,
        cwd=str(project),
        timeout=_PATIENCE,
        encoding="utf-8",
        dimensions=(24, 80),
    )
    try:
        yield child
        child.expect(pexpect.EOF)
        child.wait()
        assert (child.exitstatus, child.signalstatus) == (0, None), child.before
    finally:
        child.close(force=True)


def learned_and_run(
    account: Account, project: Path, command: tuple[str, ...], use: Callable[[pexpect.spawn[str]], None]
) -> None:
    """Use a program while it is learned, then by what was learned."""
    with screen(account, project, "learn", "-o", "../app.toml", "--", *command) as child:
        use(child)
        child.expect_exact("run it: libos run ../app.toml")
    with screen(account, project, "run", "../app.toml") as child:
        use(child)


def page_to_the_end(child: pexpect.spawn[str]) -> None:
    child.expect_exact("line 1\r\n")
    child.expect_exact("line 23\r\n")
    child.send("G")
    child.expect_exact("line 300")
    child.send("q")


def write_a_line(child: pexpect.spawn[str]) -> None:
    child.expect_exact("line 2")
    child.send("Oan été\x1b")
    child.send(":wq\r")
    child.expect_exact("301 lines, an été\r\n")


def calculate(child: pexpect.spawn[str]) -> None:
    child.expect_exact(">>> ")
    child.send("print(6 * 7)\r")
    child.expect_exact("42\r\n")
    child.expect_exact(">>> ")
    child.send("\x04")


@pytest.mark.soak_accounts("root")
def test_vi_edits_while_it_is_learned(as_user: Account, project: Path) -> None:
    """In its locale: without, what it draws in the second run is no UTF-8."""
    script = 'vi lines && echo "$(wc -l < lines) lines, $(head -n 1 lines)"'
    learned_and_run(as_user, project, ("sh", "-c", script), write_a_line)


@pytest.mark.soak
def test_less_pages_while_it_is_learned(as_user: Account, project: Path) -> None:
    learned_and_run(as_user, project, ("less", "lines"), page_to_the_end)


@pytest.mark.soak
def test_a_python_prompt_answers_while_it_is_learned(as_user: Account, project: Path) -> None:
    learned_and_run(as_user, project, ("/usr/bin/python3", "-q"), calculate)
