"""Following what happens in a running world by its control socket: late, behind, and to the end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import trio

import libos
from libos.control.channel import Channel
from libos.control.folder import open_folder
from libos.control.server import serve
from libos.events import LONGEST_TEXT, MOST_FIRST, Event, History, Hub

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


MANIFEST = {
    "include": ["base"],
    "app": {"name": "w", "command": ["sh", "-c", "cat /secret; echo ready; read line; cat /later; exit 3"]},
}


class Client:
    """A client that follows a world."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.events: list[dict[str, object]] = []
        self.ended = False

    async def until(self, **wanted: object) -> None:
        """Read until an event has these fields."""
        while not any(wanted.items() <= event.items() for event in self.events):
            assert await self.read(), self.events

    async def read(self) -> bool:
        received = await self.channel.receive()
        if received is None:
            return False
        message, _ = received
        self.events += message.get("events", [])
        self.ended = self.ended or message["answer"] == "end"
        return True


async def follow(name: str) -> Client:
    with open_folder() as folder:
        channel = Channel(folder.connect(name))
    await channel.send({"request": "events"})
    received = await channel.receive()
    assert received is not None
    assert received[0]["answer"] == "events"
    return Client(channel)


async def test_who_comes_late_gets_what_was_before_and_what_comes_to_the_end() -> None:
    async with libos.Supervisor(history=100) as supervisor:
        app = await supervisor.start(
            MANIFEST, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert app.stdout is not None
        assert app.stdin is not None
        assert await app.stdout.receive_some() == b"ready\n"
        with open_folder() as folder, folder.listen("w") as listener:
            async with trio.open_nursery() as nursery:
                await nursery.start(serve, app, listener, {})
                client = await follow("w")
                with client.channel:
                    await client.until(kind="path.absent", path="/secret")
                    await app.stdin.send_all(b"\n")
                    await app.wait()
                    nursery.cancel_scope.cancel()  # as `libos run` does at the end
                    with trio.CancelScope(shield=True):
                        while await client.read():
                            pass
            folder.remove("w")
    kinds = [event["kind"] for event in client.events]
    assert kinds[0] == "world.plan"
    assert kinds[-1] == "app.exit"
    assert client.ended
    assert any(event.get("path") == "/later" for event in client.events)
    assert {event["world"] for event in client.events} == {"w"}


async def test_a_client_that_does_not_read_holds_no_end_up() -> None:
    async with libos.Supervisor(history=100) as supervisor:
        app = await supervisor.start({"include": ["base"], "app": {"name": "w", "command": ["cat"]}},
                                     stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # fmt: skip
        with open_folder() as folder, folder.listen("w") as listener:
            async with trio.open_nursery() as nursery:
                await nursery.start(serve, app, listener, {})
                client = await follow("w")
                for _ in range(20_000):
                    supervisor.emit("path.absent", "w", path="/" + "x" * 400)
                assert app.stdin is not None
                await app.stdin.aclose()
                await app.wait()
                nursery.cancel_scope.cancel()
            client.channel.close()
            folder.remove("w")


async def test_who_is_behind_is_told_how_many_were_lost() -> None:
    async with libos.Supervisor(history=100) as supervisor:
        app = await supervisor.start({"include": ["base"], "app": {"name": "w", "command": ["cat"]}},
                                     stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # fmt: skip
        with app.events() as events:
            for number in range(15_000):
                supervisor.emit("path.absent", "w", path=f"/{number}")
            await app.kill()
            told = [event async for event in events]
    lost = [event.fields["lost"] for event in told if "lost" in event.fields]
    whole = sum(event.kind == "path.absent" for event in told)
    assert len(lost) == 1
    assert whole + int(str(lost[0])) >= 15_000


async def test_without_a_history_only_what_comes_is_told() -> None:
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start({"include": ["base"], "app": {"command": ["cat"]}},
                                     stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # fmt: skip
        with app.events() as events:
            await app.kill()
            kinds = [event.kind async for event in events]  # what cat looks for may come after the reader
    assert kinds[-1] == "app.exit"
    assert not {"world.plan", "app.start"}.intersection(kinds)


def test_a_history_is_bounded_and_keeps_what_the_world_is() -> None:
    history = History(10)
    history.add(Event("world.plan", "w", {"mounts": []}))
    for number in range(1000):
        history.add(Event("path.absent", "w", {"path": f"/{number}"}))
    kept = history.events()
    assert [event.kind for event in kept[:2]] == ["world.plan", "error"]
    assert kept[1].fields["lost"] == 1000 - 10
    assert [event.fields["path"] for event in kept[2:]] == [f"/{number}" for number in range(990, 1000)]


def test_what_an_app_makes_happen_as_often_as_it_likes_does_not_fill_a_history() -> None:
    history = History(10)
    for _ in range(5000):
        history.add(Event("grant", "w", {"action": "drop"}))
    assert len(history.events()) == MOST_FIRST + 10 + 1


async def test_what_an_app_names_is_bounded_for_every_reader_and_what_a_person_says_is_whole() -> None:
    hub, long = Hub(), "x" * 60_000
    with hub.read() as events:
        hub.emit("http.refused", "w", path=long, count=1)
        hub.emit("app.start", "w", command=[long])
        told, started = await anext(events), await anext(events)
    assert len(str(told.fields["path"])) == LONGEST_TEXT + 1
    assert started.fields["command"] == [long]


def test_a_bounded_event_fits_into_a_control_message() -> None:
    event = Event("app.start", "w", {"command": ["\U0001f600" * 5000] * 1000, "deep": [[[[[[1]]]]]]})
    line = json.dumps(event.bounded().value())
    assert len(line) < 230_000
