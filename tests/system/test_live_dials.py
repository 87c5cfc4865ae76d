"""What a running app may connect to, changed while it runs: dialed, narrowed, taken back, asked about."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from network import echo, serve

import libos

pytest_plugins = ["running"]
pytestmark = pytest.mark.system

# Obeys lines: "open HOST PORT" connects, "say TEXT" sends and tells what comes back.
AGENT = """
import socket, sys
held = None
for line in sys.stdin:
    word, *rest = line.split()
    try:
        if word == "open":
            held = socket.create_connection((rest[0], int(rest[1])))
            print("open")
        elif word == "say":
            held.sendall(rest[0].encode())
            print(held.recv(100).decode() or "end of file")
        elif word == "wait":
            print(held.recv(100).decode() or "end of file")
        elif word == "hosts":
            print(open("/etc/hosts").read().replace(chr(10), ";"))
        elif word == "read":
            print(open(rest[0]).read().replace(chr(10), ";"))
    except OSError as error:
        print(type(error).__name__)
    sys.stdout.flush()
"""


class Agent:
    """A world with the agent in it."""

    def __init__(self, app: libos.App, events: AsyncIterator[libos.Event]) -> None:
        self.app = app
        self.events = events

    async def tell(self, *words: object) -> None:
        assert self.app.stdin is not None
        await self.app.stdin.send_all((" ".join(map(str, words)) + "\n").encode())

    async def hear(self) -> str:
        assert self.app.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            more = await self.app.stdout.receive_some()
            assert more, said
            said += more
        return said.decode().strip()

    async def do(self, *words: object) -> str:
        await self.tell(*words)
        return await self.hear()

    async def event(self, kind: str, **fields: object) -> libos.Event:
        with trio.fail_after(20):
            async for event in self.events:
                if event.kind == kind and fields.items() <= event.fields.items():
                    return event
        raise AssertionError(kind)


@asynccontextmanager
async def agent(supervisor: libos.Supervisor, **manifest: Any) -> AsyncIterator[Agent]:
    said = {
        "include": ["python"],
        "app": {"command": ["python3", "-c", AGENT], "introspect": True},
        **manifest,
    }
    async with supervisor.events() as events:
        app = await supervisor.start(said, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            yield Agent(app, events)
        finally:
            with trio.CancelScope(shield=True):
                await app.kill()
                await app.aclose()


async def test_a_dial_is_made_narrowed_and_taken_back(
    supervisor: libos.Supervisor, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    async with agent(supervisor) as one:
        assert await one.do("open", "127.0.0.1", port) == "ConnectionRefusedError"
        grant = await one.app.dial(f"tcp!127.0.0.1!{port}")
        made = await one.event("grant")
        assert made.fields == {
            "action": "dial",
            "id": grant.id,
            "address": f"tcp!127.0.0.1!{port}",
            "mechanism": "gate",
        }
        assert await one.app.dial(f"tcp!127.0.0.1!{port}") is grant
        assert await one.do("open", "127.0.0.1", port) == "open"
        assert await one.do("say", "hello") == "hello"
        await grant.narrow(sent="8", connections=1)
        assert (await one.event("grant", action="narrow")).fields["sent"] == 8
        assert await one.do("say", "abc") == "abc"
        assert (grant.sent, grant.received, grant.open) == (8, 8, 1)
        assert await one.do("say", "x") == "ConnectionResetError"
        limited = await one.event("dial.limited")
        assert (limited.fields["limit"], limited.fields["grant"]) == ("sent", grant.id)
        await grant.revoke()
        await grant.revoke()
        assert await one.do("open", "127.0.0.1", port) == "ConnectionRefusedError"
        with pytest.raises(libos.SupervisorError, match="was revoked"):
            await grant.narrow(connections=1)
        assert list(one.app.dials) == []


async def test_what_is_open_is_reset_when_its_grant_goes(
    supervisor: libos.Supervisor, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    async with agent(supervisor) as one:
        async with one.app.dialed("tcp!localhost!" + str(port)) as grant:
            assert await one.do("open", "localhost", port) == "open"
            assert await one.do("say", "hello") == "hello"
            await one.tell("wait")
        assert await one.hear() == "ConnectionResetError"
        closed = await one.event("dial.close")
        assert (closed.fields["grant"], closed.fields["error"]) == (grant.id, "the grant was taken back")


async def test_a_new_name_stands_in_the_hosts_file(supervisor: libos.Supervisor) -> None:
    async with agent(supervisor) as one:
        assert "new.example" not in await one.do("hosts")
        await one.app.dial("tcp!new.example!443")
        assert "\tnew.example;" in await one.do("hosts")


async def test_a_function_answers_with_the_address_that_was_dialed(supervisor: libos.Supervisor) -> None:
    seen = []

    async def answer(stream: trio.SocketStream, address: object) -> None:
        seen.append(str(address))
        data = await stream.receive_some()
        await stream.send_all(bytes(data).upper())

    async with agent(supervisor, dial=[{"to": "tcp!api.example!443", "via": answer}]) as one:
        assert await one.do("open", "api.example", 443) == "open"
        assert await one.do("say", "hello") == "HELLO"
        assert await one.do("wait") == "end of file"
        assert seen == ["tcp!api.example!443"]
        opened = await one.event("dial.open")
        assert (opened.fields["grant"], opened.fields["to"]) == ("d1", None)


async def test_a_function_that_fails_resets_and_is_told(supervisor: libos.Supervisor) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        raise ValueError("no such user")

    async with agent(supervisor) as one:
        await one.app.dial("tcp!api.example!443", via=answer)
        assert await one.do("open", "api.example", 443) == "open"
        assert await one.do("say", "hello") == "ConnectionResetError"
        assert "ValueError('no such user')" in str((await one.event("error")).fields["error"])


@pytest.mark.parametrize("answer", ["once", "always", "no"])
async def test_the_first_connection_is_asked_about(
    supervisor: libos.Supervisor, nursery: trio.Nursery, answer: str
) -> None:
    port = await serve(nursery, echo)
    address = f"tcp!127.0.0.1!{port}"
    async with agent(supervisor, dial=[{"to": address, "ask": True}]) as one:
        questions = one.app.questions
        assert await one.do("open", "127.0.0.1", port) == "open"
        asked = await one.event("ask")
        assert asked.fields == {"id": 1, "address": address, "operation": "connect"}
        (question,) = questions.open()
        assert (question.path, question.operation) == (address, "connect")
        await one.tell("say", "hello")
        questions.answer(question.id, answer)
        assert (await one.event("answer")).fields["answer"] == answer
        if answer == "no":
            assert await one.hear() == "ConnectionResetError"
            denied = await one.event("dial.denied")
            assert denied.fields["reason"] == "answer"
            assert await one.do("open", "127.0.0.1", port) == "open"
            assert await one.do("say", "again") == "ConnectionResetError"
            assert questions.open() == []
            assert address in await one.do("read", "/mnt/ns/denials")
            return
        assert await one.hear() == "hello"
        assert await one.do("open", "127.0.0.1", port) == "open"
        await one.tell("say", "again")
        if answer == "once":
            await questions.beyond(1)
            questions.answer(2, "once")
        assert await one.hear() == "again"


async def test_no_answer_in_time_is_no(supervisor: libos.Supervisor, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    asks = {"to": f"tcp!127.0.0.1!{port}", "ask": {"timeout": "100ms"}}
    async with agent(supervisor, dial=[asks]) as one:
        assert await one.do("open", "127.0.0.1", port) == "open"
        assert await one.do("wait") == "ConnectionResetError"
        assert (await one.event("answer")).fields["by"] == "timeout"


async def test_a_question_goes_with_its_grant(supervisor: libos.Supervisor, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    async with agent(supervisor) as one:
        grant = await one.app.dial(f"tcp!127.0.0.1!{port}", ask=True)
        assert await one.do("open", "127.0.0.1", port) == "open"
        await one.event("ask")
        await grant.revoke()
        assert await one.do("wait") == "ConnectionResetError"
        assert (await one.event("answer")).fields["by"] == "gone"
        assert one.app.questions.open() == []


async def test_an_exception_inside_a_grant_is_denied_and_shown(
    supervisor: libos.Supervisor, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    address = f"tcp!127.0.0.1!{port}"
    dials = [{"to": "tcp!127.0.0.1!1-3", "deny": ["tcp!127.0.0.1!2"]}, {"to": address}]
    async with agent(supervisor, dial=dials) as one:
        assert await one.do("open", "127.0.0.1", 2) == "ConnectionRefusedError"
        denied = await one.event("dial.denied")
        assert denied.fields == {"address": "tcp!127.0.0.1!2", "grant": "d1", "reason": "deny", "count": 1}
        assert await one.do("open", "127.0.0.1", 4) == "ConnectionRefusedError"
        assert (await one.event("dial.refused")).fields["port"] == 4
        with pytest.raises(libos.SupervisorError, match=r"d1 .* was granted before it"):
            await one.app.dial("tcp!127.0.0.1!2")
        policy = await one.do("read", "/mnt/ns/policy")
        assert "tcp!127.0.0.1!1-3: dial, not tcp!127.0.0.1!2 (d1);" in policy
        denials = await one.do("read", "/mnt/ns/denials")
        assert "1x denied tcp!127.0.0.1!2: the grant that covers it refuses it" in denials
        (first, second) = one.app.dials
        await first.revoke()
        later = await one.app.dial("tcp!127.0.0.1!2")
        assert [each.id for each in one.app.dials] == [second.id, later.id]


async def test_connections_and_stats_say_who_and_how_much(
    supervisor: libos.Supervisor, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    async with agent(supervisor, dial=[{"to": f"tcp!127.0.0.1!{port}", "connections": 9}]) as one:
        assert await one.do("open", "127.0.0.1", port) == "open"
        assert await one.do("say", "hello") == "hello"
        with trio.fail_after(20):
            while not (row := one.app.connections()[0])["program"]:  # noqa: ASYNC110 - a thread looks it up
                await trio.sleep(0.005)
        json.dumps(row)
        assert (row["kind"], row["grant"], row["to"]) == ("dial", "d1", f"127.0.0.1:{port}")
        assert (row["sent"], row["received"], row["program"]) == (5, 5, "python3")
        stats: dict[str, Any] = await one.app.stats()
        json.dumps(stats)
        assert {each["program"] for each in stats["programs"]} == {"python3"}
        assert row["pid"] in {each["pid"] for each in stats["programs"]}
        assert all(each["resident"] > 1_000_000 for each in stats["programs"])
        (dialed,) = stats["dials"]
        assert (dialed["id"], dialed["open"], dialed["opened"]) == ("d1", 1, 1)
        assert (dialed["sent"], dialed["received"], dialed["limits"]) == (5, 5, {"connections": 9})
        held = one.app.dials
        for grant in held:
            await grant.revoke()
        closed = await one.event("dial.close")
        assert (closed.fields["program"], closed.fields["pid"]) == ("python3", row["pid"])
        assert one.app.connections() == []


@pytest.mark.parametrize(
    ("to", "keys", "why"),
    [
        ("tcp!a", {}, "is not a dial string"),
        ("tcp!a!1", {"via": "nowhere"}, "is no way outside"),
        ("tcp!a!1", {"rate": 0}, "is no rate"),
        ("tcp!a!1", {"conections": 3}, 'did you mean "connections"'),
        ("tcp!10.0.0.0/8!1", {}, "not routed"),
    ],
)
async def test_what_cannot_be_dialed_is_one_error(
    supervisor: libos.Supervisor, to: str, keys: dict[str, Any], why: str
) -> None:
    async with agent(supervisor) as one:
        with pytest.raises(libos.ManifestError, match=why):
            await one.app.dial(to, **keys)
        assert list(one.app.dials) == []


async def test_where_the_app_listens_itself_it_cannot_dial(supervisor: libos.Supervisor) -> None:
    async with agent(supervisor) as one:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        listen = "import socket, time; s = socket.create_server(('127.0.0.1', %d)); print(1, flush=True)"
        listen += "; time.sleep(60)"
        other = await one.app.exec(["python3", "-c", listen % port], stdout=subprocess.PIPE)
        assert other.stdout is not None
        await other.stdout.receive_some()
        with pytest.raises(libos.SupervisorError, match="Address already in use"):
            await one.app.dial(f"tcp!127.0.0.1!{port}")
        await other.aclose()


async def test_an_app_gives_its_dials_up(supervisor: libos.Supervisor, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    said: dict[str, Any] = {"introspect": True, "control": True, "command": ["python3", "-c", AGENT]}
    dials = [{"to": f"tcp!127.0.0.1!{port}"}, {"to": "tcp!a.example!1"}]
    async with agent(supervisor, app=said, dial=dials) as one:
        assert await one.do("open", "127.0.0.1", port) == "open"
        assert await one.do("say", "hello") == "hello"
        dropping = ["python3", "-c", "import sys; open('/mnt/ns/ctl', 'w').write(sys.argv[1])"]
        assert (await (await one.app.exec([*dropping, "drop d1\n"])).wait()).returncode == 0
        assert await one.do("wait") == "ConnectionResetError"
        assert (await one.event("grant")).fields["action"] == "drop"
        assert [each.id for each in one.app.dials] == ["d2"]
        assert (await (await one.app.exec([*dropping, "clear\n"])).wait()).returncode == 0
        assert list(one.app.dials) == []


FLOWS = """
import socket, sys
families = {"4": socket.AF_INET, "6": socket.AF_INET6}
for line in sys.stdin:
    family, kind, host, port = line.split()
    held = socket.socket(families[family], {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind])
    if kind == "tcp":
        held.connect((host, int(port)))
    held.sendto(b"hello", (host, int(port))) if kind == "udp" else held.sendall(b"hello")
    print(held.recv(100).decode(), flush=True)
"""


@pytest.mark.parametrize(
    ("family", "kind", "host"),
    [
        ("4", "tcp", "127.0.0.1"),
        ("6", "tcp", "::1"),
        ("6", "tcp", "::ffff:127.0.0.1"),
        ("4", "udp", "127.0.0.1"),
    ],
)
async def test_who_is_found_whatever_the_socket_is(
    supervisor: libos.Supervisor, nursery: trio.Nursery, family: str, kind: str, host: str
) -> None:
    literal = host.removeprefix("::ffff:")
    port = await serve(nursery, echo, host=literal)
    with trio.socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        await datagrams.bind(("127.0.0.1", port))

        async def answer() -> None:
            while True:
                data, peer = await datagrams.recvfrom(100)
                await datagrams.sendto(data, peer)

        nursery.start_soon(answer)
        said = {"command": ["python3", "-c", FLOWS]}
        async with agent(supervisor, app=said, dial=[{"to": f"{kind}!{literal}!{port}"}]) as one:
            assert await one.do(family, kind, host, port) == "hello"
            with trio.fail_after(20):
                while not (row := one.app.connections()[0])["program"]:  # noqa: ASYNC110 - a thread looks it up
                    await trio.sleep(0.005)
            assert (row["program"], row["sent"], row["received"]) == ("python3", 5, 5)
        nursery.cancel_scope.cancel()
