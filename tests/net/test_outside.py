"""The way outside: a name leads to public addresses unless it is private; the first that answers is taken."""

from __future__ import annotations

import errno
import socket
import threading

import pytest
import trio
import trio.testing
from network import Events, Inside, Resolver, closed_port, echo, nothing_left_open, serve

from libos.net.address import Address, parse
from libos.net.gate import Gate
from libos.net.outbound import outside, racing
from libos.net.outbound.lookup import WORLD_LOOKUPS
from libos.net.sockets import family_of

pytest_plugins = ["gates"]

# Documentation addresses of RFC 5737 are not public here; this one is, and is never connected to.
PUBLIC = "1.1.1.1"


def resolver(**names: list[str]) -> Resolver:
    made = Resolver({f"{name}.example": addresses for name, addresses in names.items()})
    trio.socket.set_custom_hostname_resolver(made)
    return made


async def found(host: str, *, private: bool = False) -> list[str]:
    return await outside.addresses(Address("tcp", host, 80), private=private)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ],
)
async def test_a_name_that_leads_to_a_private_address_is_refused_unless_it_is_private(address: str) -> None:
    resolver(inner=[address])
    with pytest.raises(PermissionError) as caught:
        await found("inner.example")
    assert caught.value.errno == errno.EACCES
    assert "inner.example leads to an address that is not public" in str(caught.value)
    assert "private = true" in str(caught.value)
    assert await found("inner.example", private=True) == [address]


async def test_private_addresses_among_public_ones_are_left_out() -> None:
    resolver(mixed=["10.0.0.1", PUBLIC, "127.0.0.1", PUBLIC])
    assert await found("mixed.example") == [PUBLIC]
    assert await found("mixed.example", private=True) == ["10.0.0.1", PUBLIC, "127.0.0.1"]


async def test_localhost_is_the_loopback_and_asks_nobody() -> None:
    asked = resolver()
    assert "127.0.0.1" in await found("localhost")
    assert set(await found("db.localhost")) == set(await found("localhost"))
    assert asked.asked == []


async def test_datagrams_to_localhost_go_to_a_service_that_listens_on_127_0_0_1_alone() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.settimeout(30)
        with await outside.connect(parse(f"udp!localhost!{service.getsockname()[1]}")) as sender:
            sender.send(b"hello")
            assert service.recv(10) == b"hello"


async def test_a_name_that_nobody_knows_is_enoent() -> None:
    resolver()
    with pytest.raises(OSError, match=r"gone\.invalid is not known outside") as caught:
        await found("gone.invalid")
    assert caught.value.errno == errno.ENOENT


async def test_a_name_is_looked_up_once_a_connection_and_what_was_checked_is_what_is_connected_to(
    nursery: trio.Nursery,
) -> None:
    port = await serve(nursery, echo)

    class Rebinding(Resolver):
        """Answers with a public address first and with the loopback from then on."""

        async def getaddrinfo(self, host, port, *hints):  # type: ignore[no-untyped-def]
            self.names = {"evil.example": [PUBLIC] if not self.asked else ["127.0.0.1"]}
            return await super().getaddrinfo(host, port, *hints)  # type: ignore[no-untyped-call]

    names = Rebinding()
    trio.socket.set_custom_hostname_resolver(names)
    tried = []

    async def connect(network: str, port: int, host: str) -> socket.socket:
        await trio.lowlevel.checkpoint()
        tried.append(host)
        raise OSError(errno.ECONNREFUSED, "refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outside, "_connect_literal", connect)
        with pytest.raises(ConnectionRefusedError):
            await outside.connect(Address("tcp", "evil.example", port))
    assert (tried, names.asked) == ([PUBLIC], ["evil.example"])
    with pytest.raises(PermissionError):
        await outside.connect(Address("tcp", "evil.example", port))


async def test_the_app_gets_a_reset_and_the_caller_the_sentence(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    await gate.dial(parse(f"tcp!service.example!{port}"))
    with inside.tcp() as client:
        await client.connect(("198.18.0.2", port))
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    assert await events.take("name.resolved") == {
        "name": "service.example",
        "address": f"tcp!service.example!{port}",
        "grant": "d1",
        "found": [],
        "left_out": ["127.0.0.1"],
    }
    event = await events.take("error")
    assert event["error"] == (
        "EACCES: Permission denied: the name service.example leads to an address that is not public "
        "(127.0.0.1): allow it by private = true in its grant"
    )
    assert event["address"] == f"tcp!service.example!{port}"
    assert "dial.open" not in events.kinds()


async def test_literals_and_localhost_need_no_word(gate: Gate, inside: Inside, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    for host, at in (("localhost", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")):
        await gate.dial(Address("tcp", host, port))
        with inside.tcp() as client:
            await client.connect((at, port))
            await client.send(b"x")
            if host == "localhost":
                assert await client.recv(1) == b"x"


async def test_the_address_that_answers_is_taken_where_others_refuse(nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo, host="127.0.0.3")
    resolver(several=["::1", "127.0.0.1", "127.0.0.2", "127.0.0.3"])
    with await outside.connect(Address("tcp", "several.example", port), private=True) as made:
        assert made.getpeername()[0] == "127.0.0.3"
        assert not made.getblocking()


async def test_where_all_fail_the_first_ones_error_is_told() -> None:
    port = closed_port()
    resolver(several=["127.0.0.1", "::1"])
    with pytest.raises(ConnectionRefusedError):
        await outside.connect(Address("tcp", "several.example", port), private=True)


def test_families_take_turns_beginning_with_the_first() -> None:
    assert racing.interleaved(["::1", "::2", "::3", "1.1.1.1", "1.1.1.2"]) == [
        *("::1", "1.1.1.1", "::2", "1.1.1.2", "::3")
    ]
    assert racing.interleaved(["1.1.1.1", "::1"]) == ["1.1.1.1", "::1"]


async def test_an_address_that_does_not_answer_holds_the_next_one_up_for_a_moment_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    began: list[tuple[str, float]] = []
    start = trio.current_time()

    async def connect(host: str) -> socket.socket:
        began.append((host, round(trio.current_time() - start, 3)))
        if host == "1.1.1.1":
            await trio.sleep_forever()
        if host == "1.1.1.2":
            raise OSError(errno.EHOSTUNREACH, "unreachable")
        return socket.socket(family_of(host))

    async with nothing_left_open():
        with await racing.race(["1.1.1.1", "1.1.1.2", "1.1.1.3"], connect):
            assert began == [("1.1.1.1", 0), ("1.1.1.2", 0.25), ("1.1.1.3", 0.25)]


async def test_two_that_answer_at_once_give_one_connection_and_close_the_other() -> None:
    both = trio.Event()

    async def connect(host: str) -> socket.socket:
        if host == "1.1.1.2":
            both.set()
        await both.wait()
        return socket.socket(family_of(host))

    async with nothing_left_open():
        (await racing.race(["1.1.1.1", "1.1.1.2"], connect)).close()


async def test_lookups_that_do_not_end_hold_up_their_world_alone(
    gate: Gate, inside: Inside, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio.socket.set_custom_hostname_resolver(None)
    waiting, answer = threading.Semaphore(0), threading.Event()

    def slow(host: str, *rest: object, **hints: object) -> list[object]:
        waiting.release()
        answer.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    await gate.dial(parse("tcp!slow.example!443"))
    (given,) = gate.names.lookup("slow.example") or ()
    others, mine = trio.to_thread.current_default_thread_limiter(), trio.CapacityLimiter(1)
    apps = [inside.tcp() for _ in range(int(others.total_tokens) + 5)]
    try:
        for app in apps:
            await app.connect((str(given), 443))
        for _ in range(WORLD_LOOKUPS):
            await trio.to_thread.run_sync(waiting.acquire, limiter=mine)
        await trio.testing.wait_all_tasks_blocked()
        assert others.borrowed_tokens == 0
        assert not waiting.acquire(blocking=False), "more of them than a world may have"
    finally:
        answer.set()
        for app in apps:
            app.close()
