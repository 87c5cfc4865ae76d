"""UDP grants and names in real worlds: what is granted is answered, refusals outside are refusals inside."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
import trio
from services import web_server
from worlds import Result, Worlds

import libos
from libos.manifest import from_options

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Sends to sys.argv[1] and says who has answered what, or the error.
CLIENT = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
kind = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(kind, socket.SOCK_DGRAM) as client:
    client.settimeout(20)
    client.connect((host, port))
    client.send(b"hello")
    try:
        data, peer = client.recvfrom(100)
        print(data.decode(), peer[0] == client.getpeername()[0])
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A UDP service of the host that sends back what it gets, until it gets nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))

        def run() -> None:
            while True:
                data, peer = service.recvfrom(65535)
                if not data:
                    return
                service.sendto(b"re:" + data, peer)

        thread = threading.Thread(target=run)
        thread.start()
        made: int = service.getsockname()[1]
        yield made
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", made))
        thread.join()


def send(worlds: Worlds, host: str, port: int, to: str, **keys: object) -> Result:
    """A program that sends to a host, in a world with one UDP grant."""
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "-c", CLIENT, host, str(port)]},
        "dial": [{"to": to, "via": f"udp!127.0.0.1!{port}"}],
        **keys,
    }
    return worlds.run(manifest=manifest)


@pytest.mark.parametrize(
    ("to", "host"),
    [
        ("udp!127.0.0.1!{}", "127.0.0.1"),
        ("udp!10.1.2.3!{}", "10.1.2.3"),
        ("udp!2001:db8::1!{}", "2001:db8::1"),
        ("udp!*.example!{}", "ntp.example"),
        ("udp!full.example!1,{}", "full.example"),
    ],
)
def test_what_is_granted_is_answered(worlds: Worlds, port: int, to: str, host: str) -> None:
    result = send(worlds, host, port, to.format(port))
    assert result.out == "re:hello True\n"
    (opened,) = result.of_kind("dial.open")
    assert opened["address"] == f"udp!{host}!{port}"
    (closed,) = result.of_kind("dial.close")
    assert (closed["sent"], closed["received"], closed["error"]) == (5, 8, None)


def test_other_ports_and_networks_are_refused(worlds: Worlds, port: int) -> None:
    for to in (f"udp!10.1.2.3!{port - 1}", f"tcp!10.1.2.3!{port}"):
        manifest = {
            "include": ["python"],
            "app": {"command": ["python3", "-c", CLIENT, "10.1.2.3", str(port)]},
            "dial": [{"to": to}],
        }
        result = worlds.run(manifest=manifest)
        assert result.out == "ConnectionRefusedError\n"
        assert result.refused == {("udp", "10.1.2.3", port)}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_refusal_outside_is_one_inside(worlds: Worlds, host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        closed = probe.getsockname()[1]
    result = worlds.python(CLIENT, host, str(closed), dials=[f"udp!{host}!{closed}"])
    assert result.out == "ConnectionRefusedError\n"
    (error,) = result.of_kind("error")
    assert "ECONNREFUSED" in error["error"]
    assert result.refused == set()


def test_a_routed_world_has_names_and_ranges(worlds: Worlds, port: int) -> None:
    routed = {"network": {"routed": True}}
    for to, host in (("udp!10.9.0.0/16!{}", "10.9.8.7"), ("udp!**.example!{}", "a.b.example")):
        result = send(worlds, host, port, to.format(port), **routed)
        assert result.out == "re:hello True\n"
        (opened,) = result.of_kind("dial.open")
        assert opened["address"] == f"udp!{host}!{port}"


class _Names(trio.abc.HostnameResolver):
    """Every name of the host is 127.0.0.1."""

    async def getaddrinfo(self, host, port, *hints):  # type: ignore[no-untyped-def]
        await trio.lowlevel.checkpoint()
        return socket.getaddrinfo("127.0.0.1", port, *hints)

    async def getnameinfo(self, sockaddr, flags):  # type: ignore[no-untyped-def]
        raise NotImplementedError


async def test_a_name_may_lead_to_this_machine_where_its_grant_says_so(supervisor: libos.Supervisor) -> None:
    trio.socket.set_custom_hostname_resolver(_Names())
    with web_server() as port:
        for word, page in (("", b""), (",private", b"page / for service.example")):
            manifest = from_options(
                command=["curl", "-sS", f"http://service.example:{port}/"],
                dials=[f"tcp!service.example!{port}{word}"],
            )
            pipe = subprocess.PIPE
            async with supervisor.events() as events:
                app = await supervisor.start(manifest, stdout=pipe, stderr=subprocess.DEVNULL)
                assert app.stdout is not None
                out = b"".join([chunk async for chunk in app.stdout])
                assert out.startswith(page) and bool(out) == bool(page)
                seen = []
                async for event in events:
                    seen.append(event)
                    if event.kind == "app.exit":
                        break
                await app.wait()
                await app.aclose()
            errors = [str(event.fields["error"]) for event in seen if event.kind == "error"]
            assert len(errors) == (0 if word else 1)
            assert all("private = true" in error for error in errors)


def test_a_grant_of_a_thousand_ports(worlds: Worlds, port: int) -> None:
    result = worlds.python(
        CLIENT, "127.0.0.1", str(port), dials=[f"udp!127.0.0.1!{port}", "tcp!10.1.1.1!2000-3022"]
    )
    assert result.out == "re:hello True\n"
