"""The stack of PostgreSQL, a web app, a worker and a load generator, each of which is killed in turn."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from accounts import Account
from services import free_port

pytestmark = pytest.mark.system

EXAMPLE = Path(__file__).parent.parent.parent / "examples/stack"


class Jobs:
    """The example as one account runs it, on a port of its own."""

    def __init__(self, as_user: Account) -> None:
        self.as_user = as_user
        self.port = free_port()
        shutil.copytree(EXAMPLE, as_user.folder / "stack")
        path = as_user.folder / "stack/stack.toml"
        path.write_text(path.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{self.port}"))
        self.file = str(path)

    def states(self) -> dict[str, tuple[str, int]]:
        """Each world's state and starts."""
        found = json.loads(self.as_user.run(self.as_user.libos("ps", "--json")).stdout)["worlds"]
        (stack,) = (each for each in found if each["name"] == "jobs")
        return {each["world"]: (each["state"], each["starts"]) for each in stack["stack"]}

    def ask(self, path: str, method: str = "GET") -> dict[str, int]:
        """What the published web app answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))

    def all_done(self) -> bool:
        """Whether every job is done, and there is one."""
        try:
            state = self.ask("/jobs")
        except (OSError, urllib.error.URLError):
            return False
        return state["jobs"] == state["done"] > 0

    def add_one(self) -> bool:
        """Whether a job could be added."""
        try:
            return "id" in self.ask("/jobs?number=7", "POST")
        except (OSError, urllib.error.URLError):
            return False


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.timeout(180)
@pytest.mark.soak_accounts("root")
def test_the_stack_works_and_goes_on_whichever_world_is_killed(as_user: Account) -> None:
    jobs = Jobs(as_user)
    began = as_user.run(as_user.libos("up", "-d", jobs.file))
    assert began.returncode == 0, began.stderr
    try:
        as_user.run(as_user.libos("kill", "-s", "KILL", "jobs.load"))
        until(lambda: jobs.states()["load"] == ("ended", 2), "the load generator did not end well")
        assert jobs.all_done()
        for name in ("worker", "web", "db"):
            as_user.run(as_user.libos("kill", f"jobs.{name}"))
            until(lambda name=name: jobs.states()[name] == ("ready", 2), f"{name} did not come again")  # type: ignore[misc]  # bound
            until(jobs.add_one, f"no job could be added after {name}")
            until(jobs.all_done, f"no job was done after {name}")
        logs = as_user.run(as_user.libos("logs", "jobs")).stdout
        # More than it adds, by what it had added before it was killed.
        (done,) = re.findall(r"load \| (\d+) jobs done in", logs)
        assert 200 <= int(done) < 400
        assert "lost" not in logs
        code = "import socket; socket.create_connection(('db', 5432))"
        stranger = as_user.run(
            as_user.libos("exec", "jobs.db", "--", "python3", "-c", code.replace("db", "web"))
        )
        assert "name resolution" in stranger.stderr or "not known" in stranger.stderr
    except BaseException:
        print(as_user.run(as_user.libos("logs", "jobs")).stdout[-3000:])
        raise
    finally:
        assert as_user.run(as_user.libos("down", "jobs")).returncode == 0


@pytest.mark.soak_accounts("root")
def test_the_stacks_supervisor_is_killed_and_nothing_is_left(as_user: Account) -> None:
    jobs = Jobs(as_user)
    command = as_user.command(*as_user.libos("up", jobs.file))
    with subprocess.Popen(
        command, env=as_user.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as up:
        assert up.stdout is not None
        for line in up.stdout:
            if line.startswith(b"load |"):
                break
        up.send_signal(signal.SIGKILL)
    assert up.returncode == -signal.SIGKILL
    with pytest.raises(OSError, match=r"refused|reset"):
        jobs.ask("/jobs")
