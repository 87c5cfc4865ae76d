"""Stacks of real worlds: links, readiness, restarts, strategies, the order of the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio

import libos
from libos.stack import Running, load_stack, run_stack
from libos.stack.service import Service, State

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 5000))
print("listening")
while True:
    connection, _ = server.accept()
    connection.sendall(b"hello")
    connection.close()
"""
CLIENT = """
import socket
print(socket.create_connection(("server", 5000)).recv(100).decode())
"""


def world(name: str, code: str, *lines: str) -> str:
    text = f'[[world]]\nname = "{name}"\ninclude = ["python"]\n'
    text += "\n".join(lines)
    return f"{text}\n[world.app]\ncommand = [\"python3\", \"-uc\", '''{code}''']\n"


def ends(status: int, text: str = "") -> str:
    return f"print('{text}'); raise SystemExit({status})"


LISTENS = 'ready = { line = "listening" }'
STAYS = "import time; print('up'); time.sleep(100)"


class Trial:
    """A stack that runs, and the records that it gave."""

    running: Running

    def __init__(self) -> None:
        self.records: list[dict[str, str]] = []
        self.status: int | None = None
        self.over = trio.Event()
        self._told = trio.Event()

    async def run(
        self, supervisor: libos.Supervisor, path: Path, task_status: trio.TaskStatus[Running]
    ) -> None:
        self.status = await run_stack(supervisor, load_stack(path), tell=self._tell, task_status=task_status)
        self.over.set()

    def _tell(self, record: dict[str, str]) -> None:
        self.records.append(record)
        self._told.set()
        self._told = trio.Event()

    async def printed(self, name: str, line: str) -> None:
        with trio.fail_after(20):
            while line not in self.lines(name):
                await self._told.wait()

    def lines(self, name: str, stream: str = "stdout") -> list[str]:
        return [each["line"] for each in self.records if (each["world"], each["stream"]) == (name, stream)]

    def service(self, name: str) -> Service:
        return self.running.services[name]

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(20):
            await self.running._until(condition)

    async def becomes(self, name: str, state: State) -> None:
        await self.until(lambda: self.service(name).state is state)

    async def end(self) -> int:
        with trio.fail_after(30):
            await self.over.wait()
        assert self.status is not None
        return self.status


Start = Callable[..., AbstractAsyncContextManager[Trial]]


@pytest.fixture
def start(supervisor: libos.Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    @asynccontextmanager
    async def start(*worlds: str, head: str = "") -> AsyncIterator[Trial]:
        path = tmp_path / "t.toml"
        path.write_text("\n".join(["libos = 1", head, *worlds]))
        trial = Trial()
        async with trio.open_nursery() as nursery:
            trial.running = await nursery.start(trial.run, supervisor, path)
            yield trial
            nursery.cancel_scope.cancel()
        assert not supervisor.apps

    return start


async def test_a_world_dials_another_by_name_and_nothing_else(start: Start) -> None:
    other = "import socket\ntry: socket.create_connection(('server', 5000))\nexcept OSError as e: print(e)"
    async with start(
        world("client", CLIENT, 'dial = [{ to = "tcp!server!5000" }]'),
        world("stranger", other, 'needs = ["server"]'),
        world(
            "server",
            SERVER,
            "expose = [5000]",
            'ready = { line = "listening" }',
            'stop = { signal = "KILL" }',
        ),
    ) as trial:
        await trial.becomes("client", State.ENDED)
        await trial.becomes("stranger", State.ENDED)
        assert trial.lines("client") == ["hello"]
        assert trial.lines("stranger") == ["[Errno -2] Name or service not known"]
        trial.running.stop()
        assert await trial.end() == 0


@pytest.mark.parametrize(
    "ready",
    [
        '{ file = "/tmp/flag" }',
        '{ line = "now" }',
        '{ command = ["test", "-e", "/tmp/flag"] }',
        "{ port = 5000 }",
    ],
)
async def test_what_needs_a_world_starts_once_that_is_ready(start: Start, ready: str) -> None:
    slow = """
import socket, time
time.sleep(0.3)
server = socket.create_server(("127.0.0.1", 5000))
open("/tmp/flag", "w").close()
print("now")
time.sleep(100)
"""
    async with start(
        world("slow", slow, f"ready = {ready}"), world("after", ends(0), 'needs = ["slow"]')
    ) as trial:
        await trial.becomes("slow", State.STARTING)
        assert trial.service("after").state is State.WAITING
        await trial.becomes("after", State.ENDED)
        assert trial.service("slow").state is State.READY


async def test_a_world_that_does_not_become_ready_fails_and_so_does_what_needs_it(start: Start) -> None:
    async with start(
        world("never", STAYS, 'ready = { file = "/no", timeout = "300ms" }'),
        world("after", STAYS, 'needs = ["never"]'),
    ) as trial:
        assert await trial.end() == 124
        assert trial.service("never").state is State.FAILED
        assert trial.lines("never", "libos") == ["not ready within 0.3 s: /no is there"]
        assert trial.service("after").reason == 'it needs "never", which failed'
        assert trial.service("after").starts == 0
        assert not await trial.running.ready()


async def test_what_cannot_be_started_fails_with_its_reason(start: Start) -> None:
    async with start('[[world]]\nname = "a"\napp = { command = ["no-such-program"] }') as trial:
        assert await trial.end() == 125
        assert "no-such-program" in trial.lines("a", "libos")[0]


async def test_a_world_that_crashes_forever_ends_the_stack(start: Start) -> None:
    crash = 'restart = { when = "on-failure", limit = 2, first = "10ms" }'
    async with start(world("crash", ends(3), crash), world("other", STAYS)) as trial:
        assert await trial.end() == 3
        assert trial.service("crash").starts == 3
        assert trial.lines("crash", "libos")[-1].startswith("restarted 2 times within 60 s")
        assert trial.service("other").state is State.ENDED


async def test_what_ends_well_is_restarted_only_always(start: Start) -> None:
    again = 'restart = { when = "always", limit = 1, first = "10ms" }'
    async with start(
        world("once", ends(0), 'restart = "on-failure"'), world("again", ends(0), again)
    ) as trial:
        assert await trial.end() == 0
        assert (trial.service("once").starts, trial.service("again").starts) == (1, 2)


@pytest.mark.parametrize(
    ("strategy", "starts"),
    [("one-for-one", (1, 2, 1)), ("rest-for-one", (1, 2, 2)), ("all", (2, 2, 2))],
)
async def test_a_strategy_says_what_is_restarted_with_a_world(
    start: Start, strategy: str, starts: tuple[int, int, int]
) -> None:
    ready = 'ready = { line = "up" }'
    restart = 'restart = { when = "always", first = "10ms" }'
    worlds = (
        world("first", STAYS, ready),
        world("second", STAYS, ready, restart, 'needs = ["first"]'),
        world("third", STAYS, ready, 'needs = ["second"]'),
    )
    async with start(*worlds, head=f'[stack]\nstrategy = "{strategy}"') as trial:
        await trial.becomes("third", State.READY)
        app = trial.service("second").app
        assert app is not None
        app.end("killed")

        def as_expected() -> bool:
            services = trial.running.services.values()
            return tuple(each.starts for each in services) == starts and all(
                each.state is State.READY for each in services
            )

        await trial.until(as_expected)


async def test_worlds_end_in_the_reverse_of_their_order_and_late_ones_are_killed(start: Start) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(100)"
    polite = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("bye")))
print("up")
time.sleep(100)
"""
    ready = 'ready = { line = "up" }'
    async with start(
        world("base", polite, ready),
        world("deaf", deaf, ready, 'needs = ["base"]', 'stop = { grace = "200ms" }'),
    ) as trial:
        await trial.becomes("deaf", State.READY)
        trial.running.stop()
        trial.running.stop()
        assert await trial.end() == 0
        assert trial.lines("deaf", "libos") == ["did not end within 0.2 s: killed"]
        assert trial.lines("base") == ["up", "bye"]
        ends_at = [
            each["world"] for each in trial.records if each["line"] in ("bye",) or "killed" in each["line"]
        ]
        assert ends_at == ["deaf", "base"]


async def test_a_stack_that_is_cancelled_leaves_nothing(start: Start) -> None:
    async with start(
        world("a", STAYS, 'ready = { line = "up" }'), world("b", STAYS, 'needs = ["a"]')
    ) as trial:
        await trial.becomes("a", State.READY)
    assert trial.status is None


async def test_a_link_to_a_world_that_is_down_is_a_reset(start: Start) -> None:
    client = """
import socket, time
for _ in range(2):
    try:
        print(socket.create_connection(("server", 5000)).recv(100))
    except OSError as error:
        print(type(error).__name__)
    time.sleep(1)
"""
    async with start(
        world("server", SERVER, "expose = [5000]", LISTENS),
        world("client", client, 'dial = [{ to = "tcp!server!5000" }]'),
    ) as trial:
        await trial.becomes("client", State.READY)
        await trial.printed("client", "b'hello'")
        app = trial.service("server").app
        assert app is not None
        app.end("killed")
        await trial.becomes("client", State.ENDED)
        assert trial.lines("client") == ["b'hello'", "ConnectionResetError"]
