"""`libos view` of a world that runs: as root and as an ordinary user."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from accounts import Account
from looking import Client

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

# Looks for one name, and for another and its end once it is told to.
LOOK = "cat /looked-for-early; echo ready; read go; cat /looked-for-late; true"


@contextmanager
def started(account: Account, *argv: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of libos that runs, and the first line that it prints."""
    process = account.start(account.libos(*argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def test_a_running_world_is_shown_from_its_beginning_to_its_end(as_user: Account) -> None:
    with (
        started(as_user, "run", "--name", "shown", "--", "sh", "-c", LOOK) as (world, ready),
        started(as_user, "view", "shown") as (_, url),
    ):
        assert ready == "ready"
        client = Client(url)
        assert world.stdin is not None
        told: list[str] = []
        for event, _, data in client.changes():
            had_early = "/looked-for-early" in "".join(told)
            told.append(data)
            if not had_early and "/looked-for-early" in "".join(told):  # kept from before
                world.stdin.write("go on\n")
                world.stdin.flush()
            if event == "end":
                break
        assert "/looked-for-late = ENOENT" in "".join(told)
        with client.ask(client.folder, Cookie=client.cookie) as answer:
            page = answer.read().decode()
        assert "status 0" in page
        assert "looked-for-early" in page and "looked-for-late" in page


def test_without_a_name_the_only_world_is_shown_and_a_name_that_is_none_is_said(as_user: Account) -> None:
    refused = as_user.run(as_user.libos("view"))
    assert refused.returncode == 2
    assert "name a running world or an event file; none runs" in refused.stderr
    refused = as_user.run(as_user.libos("view", "nobody"))
    assert refused.returncode != 0
    assert "nobody" in refused.stderr.splitlines()[-1]
