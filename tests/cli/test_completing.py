"""What Tab completes, asked as a shell asks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from accounts import Account

pytestmark = pytest.mark.system


@contextmanager
def a_world(account: Account, name: str) -> Iterator[None]:
    words = account.libos("run", "--name", name, "--", "sh", "-c", "echo ready; exec sleep 600")
    process = subprocess.Popen(
        account.command(*words), env=account.environment, cwd=account.folder, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.terminate()


def completed(account: Account, line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    asked = {"_LIBOS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = account.run(["env", *(f"{name}={value}" for name, value in asked.items()), *account.libos()])
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.soak_accounts("root")
def test_commands_worlds_and_files_are_completed(as_user: Account) -> None:
    assert completed(as_user, "libos dis") == ["plain,discard"]
    with a_world(as_user, "tab-one"):
        assert completed(as_user, "libos kill tab-") == ["plain,tab-one"]
        assert completed(as_user, "libos watch tab-") == ["plain,tab-one", "file,tab-"]
    assert completed(as_user, "libos kill tab-") == []
    assert completed(as_user, "libos check some") == ["file,some"]
    assert completed(as_user, "libos diff nothing-is-kept") == []
    assert completed(as_user, "libos tour a") == ["plain,absent", "plain,agent"]
    assert completed(as_user, "libos tour ver") == ["plain,verify"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_completion(as_user: Account, shell: str) -> None:
    done = as_user.run(["env", f"_LIBOS_COMPLETE={shell}_source", *as_user.libos()])
    assert done.returncode == 0
    assert "_LIBOS_COMPLETE" in done.stdout
    if shutil.which(shell):
        assert as_user.run([shell, "-n"], stdin=None, input=done.stdout).returncode == 0
