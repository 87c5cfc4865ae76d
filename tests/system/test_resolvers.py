"""The resolvers that programs have, each in a real world: a name that a pattern covers has its address, one
that nothing covers does not exist, and nobody waits for an answer that does not come.

That an answer came is seen in what the resolver says: no such name, or no address of this family, where a
resolver that was not answered says "try again", a timeout or a server failure.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from services import echo_server
from worlds import Result, Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

HERE = Path(__file__).parent
COVERED, ABSENT = "api.example", "gone.invalid"
# The first address that a world gives is 198.18.0.2: `full.example` has it from the start.
FULL, ADDRESS = "198.18.0.2", "198.18.0.3"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with echo_server() as made:
        yield made


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """A folder for programs that every account may read; pytest's own are for one account."""
    with tempfile.TemporaryDirectory(prefix="resolvers-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def run(worlds: Worlds, port: int, *command: str, profile: str = "base", **options: Any) -> Result:
    """A program in a world that may reach every name below `.example` at `port`: the echo service."""
    dials = [
        {"to": f"tcp!{host}!{port}", "via": f"tcp!127.0.0.1!{port}"} for host in ("full.example", "*.example")
    ]
    manifest = {"include": [profile], "app": {"command": list(command)}, "dial": dials}
    return worlds.run(manifest=manifest, check=False, **options)


def installed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: scripts/system-packages test installs it")
    return found


def check(result: Result) -> None:
    """What the programs of this folder print: the addresses of a name, and those of IPv6 alone."""
    lines = result.out.splitlines()
    assert lines[:4] == [f"{COVERED} {ADDRESS}", f"{COVERED} none", f"{ABSENT} none", f"{ABSENT} none"], (
        result
    )
    assert set(lines[4].split()) == {"localhost", "127.0.0.1", "::1"}
    assert lines[5:] == ["localhost ::1"]
    assert {event["name"] for event in result.of_kind("name.absent")} == {ABSENT}


def test_glibc(worlds: Worlds, port: int) -> None:
    script = f"""
        getent ahosts {COVERED} | awk '/STREAM/ {{print $1}}'
        getent ahostsv6 {COVERED}; echo $?
        getent hosts {ABSENT}; echo $?
        getent hosts full.example {ADDRESS} {FULL}
    """
    result = run(worlds, port, "sh", "-c", script)
    *lines, full, reverse, own = result.out.splitlines()
    assert lines[0] == ADDRESS
    assert lines[-1] == "2"
    assert full.split() == [FULL, "full.example"]
    assert reverse.split() == [ADDRESS, COVERED]
    assert own.split() == [FULL, "full.example"]
    assert {event["name"] for event in result.of_kind("name.absent")} == {ABSENT}


def test_python_connects_by_a_name_that_was_not_there_before(worlds: Worlds, port: int) -> None:
    code = f"""
import socket
with socket.create_connection(("{COVERED}", {port})) as connection:
    connection.sendall(b"hello")
    print(connection.getpeername()[0], connection.recv(9))
for name, family in (("{COVERED}", socket.AF_INET6), ("{ABSENT}", 0)):
    try:
        socket.getaddrinfo(name, 80, family)
    except socket.gaierror as error:
        print(error.errno in (socket.EAI_NONAME, socket.EAI_NODATA))
"""
    result = run(worlds, port, "python3", "-c", code, profile="python")
    assert result.out == f"{ADDRESS} b'hello'\nTrue\nTrue\n", result.err
    (opened,) = result.of_kind("dial.open")
    assert opened["address"] == f"tcp!{COVERED}!{port}"


def test_musl(worlds: Worlds, port: int, built: Path) -> None:
    program = built / "musl"
    command = [installed("musl-gcc"), "-static", "-o", str(program), str(HERE / "resolve.c")]
    subprocess.run(command, check=True)
    mounts = [f"{program}:/opt/resolve"]
    result = run(worlds, port, "/opt/resolve", COVERED, ABSENT, "localhost", mounts=mounts)
    check(result)


@pytest.mark.soak  # Go takes 260 MB of disk and half a minute to compile its library once
def test_go(worlds: Worlds, port: int, built: Path) -> None:
    program = built / "go"
    if shutil.which("go") is None:
        pytest.skip("go is not installed, and 260 MB: apt-get install golang-go")
    environment = {
        "CGO_ENABLED": "0",
        "GO111MODULE": "off",
        "GOCACHE": str(built / "cache"),
        "HOME": str(built),
        "PATH": "/usr/bin:/bin",
    }
    command = ["go", "build", "-o", str(program), str(HERE / "resolve.go")]
    subprocess.run(command, check=True, env=environment)
    mounts = [f"{program}:/opt/resolve"]
    result = run(worlds, port, "/opt/resolve", COVERED, ABSENT, "localhost", mounts=mounts)
    check(result)


def test_node(worlds: Worlds, port: int) -> None:
    """Both of its resolvers: getaddrinfo(3) in a thread, and c-ares."""
    installed("node")
    code = f"""
const dns = require("dns").promises, net = require("net");
const told = (promise) => promise.then((found) => JSON.stringify(found), (error) => error.code);
(async () => {{
    console.log(await told(dns.lookup("{COVERED}", {{ all: true }})));
    console.log(await told(dns.resolve4("{COVERED}")), await told(dns.resolve6("{COVERED}")));
    console.log(await told(dns.lookup("{ABSENT}")), await told(dns.resolve4("{ABSENT}")));
    console.log(await told(dns.reverse("{ADDRESS}")));
    const socket = net.connect({port}, "{COVERED}", () => socket.write("hello"));
    socket.on("data", (data) => {{ console.log(String(data)); socket.end(); }});
}})();
"""
    result = run(worlds, port, "node", "-e", code, profile="node")
    assert result.out.splitlines() == [
        f'[{{"address":"{ADDRESS}","family":4}}]',
        f'["{ADDRESS}"] ENODATA',
        "ENOTFOUND ENOTFOUND",
        f'["{COVERED}"]',
        "hello",
    ], result.err


def test_dig(worlds: Worlds, port: int) -> None:
    installed("dig")
    script = f"""
        dig +short {COVERED}; dig +short +tcp {COVERED}; dig +short +noedns {COVERED}; dig +short -x {ADDRESS}
        for kind in AAAA HTTPS SVCB TXT; do dig {COVERED} $kind | grep -oE 'status: [A-Z]+|ANSWER: 0'; done
        dig {ABSENT} | grep -oE 'status: [A-Z]+|IN\\s+SOA|udp: [0-9]+'
        dig +edns=1 +noednsnegotiation {COVERED} | grep -oE 'status: [A-Z]+'
        dig chaos version.bind txt | grep -oE 'status: [A-Z]+'
    """
    result = run(worlds, port, "sh", "-c", script)
    assert [line.replace("\t", " ") for line in result.out.splitlines()] == [
        *(ADDRESS, ADDRESS, ADDRESS, f"{COVERED}."),
        *(["status: NOERROR", "ANSWER: 0"] * 4),
        *("status: NXDOMAIN", "udp: 1232", "IN SOA"),
        *("status: BADVERS", "status: REFUSED"),
    ], (result.out, result.err)
