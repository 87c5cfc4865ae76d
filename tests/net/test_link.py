"""The kept netlink messages are what pyroute2 encodes today, and a namespace that replayed them works."""

from __future__ import annotations

import os
import subprocess
import sys

from network import PACKAGE, Inside, flat_only

from libos.net import link, link_messages

pytest_plugins = ["gates"]


def test_the_kept_messages_are_what_pyroute2_encodes() -> None:
    for kept, encoded in (
        (link_messages.MESSAGES, link.encode()),
        (link_messages.LINK, link.encode_link()),
        (link_messages.APP, link.encode_app()),
        (link_messages.GATE, link.encode_gate()),
        (link_messages.DETOUR, link.encode_detour()),
    ):
        assert [(each.purpose, each.data, each.required) for each in kept] == encoded


def test_the_kept_file_is_what_the_generator_writes() -> None:
    with open(os.path.join(PACKAGE, "link_messages.py"), encoding="ascii") as file:
        assert file.read() == link.source()


def test_nothing_imports_pyroute2_or_dnspython_at_start() -> None:
    code = (
        "import sys, libos.net.gate; print([m for m in ('pyroute2', 'dns', 'pyfuse3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@flat_only
async def test_every_address_is_local(inside: Inside) -> None:
    for family, host in (
        (2, "127.0.0.1"),
        (2, "10.9.8.7"),
        (2, "203.0.113.5"),
        (10, "::1"),
        (10, "2001:db8::5"),
    ):
        with inside.tcp(family) as listener, inside.tcp(family) as client:
            await listener.bind((host, 80))
            listener.listen()
            await client.connect((host, 80))
            accepted, _ = await listener.accept()
            accepted.close()
