"""What is wrong with a [[dial]]: each error at its line, passwords in none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import libos
from libos.net.granting.rule import Limits
from libos.net.outbound.connecting import ByWay
from libos.net.outbound.function import ByFunction
from libos.plan.network import rules


def error_of(tmp_path: Path, dial: str) -> str:
    path = tmp_path / "agent.toml"
    path.write_text(f"libos = 1\n[[dial]]\n{dial}\n")
    with pytest.raises(libos.ManifestError) as caught:
        libos.load(path)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix(f"{path}:")


@pytest.mark.parametrize(
    ("dial", "error"),
    [
        ('to = "tcp!a!1"\nvia = "nowhere"', '4:7: "nowhere" is no way outside'),
        ('to = "tcp!a!1"\nvia = "socks5://bob:hush@a"', '4:7: "socks5://…@a": write socks5://HOST:PORT'),
        ('to = "tcp!a!1"\nvia = 7', '4:7: "via" is a text, not a whole number: 7'),
        ('to = "tcp!a!1"\nvia = "udp!a!1"', "4:7: a connection cannot go by datagrams"),
        ('to = "udp!a!1"\nvia = "http://a:1"', "4:7: datagrams go to another address only"),
        ('to = "tcp!a!1"\nsent = -1', "4:8: a size of -1 is out of range"),
        ('to = "tcp!a!1"\nrate = "0"', '4:8: "0" is no rate'),
        ('to = "tcp!a!1"\nconnections = -1', "4:15: -1 is out of range"),
        ('to = "tcp!*.a!1"\ndeny = ["udp!b.a!1"]', '4:9: "udp!b.a!1" takes nothing from "tcp!*.a!1"'),
        ('to = "tcp!*.a!1"\ndeny = ["b.a"]', '4:9: "b.a" is not a dial string'),
        ('to = "tcp!a!1"\nask = { timeout = "soon" }', '4:19: "soon" is no time'),
    ],
)
def test_what_is_wrong_is_said_at_its_line(tmp_path: Path, dial: str, error: str) -> None:
    found = error_of(tmp_path, dial)
    assert found.startswith(error)
    assert "hush" not in found


@pytest.mark.parametrize("via", [lambda stream: None, 7, "socks5://bob:hush@a"])
def test_what_is_no_way_from_python(via: Any) -> None:
    with pytest.raises(libos.ManifestError, match=r"dial\[0\]\.via") as caught:
        libos.from_mapping({"dial": [{"to": "tcp!a!1", "via": via}]})
    assert "hush" not in str(caught.value)


def test_a_dial_becomes_its_rule() -> None:
    async def answer(stream: object) -> None: ...

    limits = {"connections": 0, "sent": 0, "received": "1K", "rate": "8Mbit"}
    dials = [
        {"to": "tcp!a!1", "via": "socks5://bob:hush@p:1080", **limits},
        {"to": "tcp!b!1", "via": answer, "ask": {"timeout": "2s"}},
    ]
    proxied, answered = rules(libos.from_mapping({"dial": dials}))
    assert isinstance(proxied.via, ByWay)
    assert proxied.via_text == "socks5://bob:…@p:1080"
    assert proxied.limits == Limits(connections=0, sent=0, received=1024, rate=1_000_000)
    assert answered.via == ByFunction(answer)
    assert "answer" in answered.via_text
    assert (answered.ask, answered.ask_seconds) == (True, 2.0)


def test_explain_says_what_carries_a_dial_and_shows_no_password() -> None:
    from libos.plan import lower

    async def answer(stream: object) -> None: ...

    dials: list[dict[str, Any]] = [
        {"to": "tcp!a!1"},
        {"to": "udp!a!1", "via": "udp!b!2"},
        {"to": "tcp!*.a!1", "deny": ["tcp!x.a!1"], "via": "http://bob:hush@p:3128", "rate": "1M"},
        {"to": "tcp!c!1", "via": answer, "connections": 3, "private": True, "ask": True, "sent": 0},
    ]
    plan = lower(libos.from_mapping({"include": ["base"], "dial": dials}))
    lines = {line.at: line for line in plan.lines}
    assert lines["tcp!a!1"].asked == "dial"
    assert "connects outside and resolves the name" in lines["tcp!a!1"].reason
    assert "other address" in lines["udp!a!1"].reason
    assert lines["tcp!*.a!1"].asked == "dial, via http://bob:…@p:3128, 1M a second, not tcp!x.a!1"
    assert "the proxy, which resolves the name" in lines["tcp!*.a!1"].reason
    assert lines["tcp!c!1"].asked.startswith("dial, via function ")
    assert lines["tcp!c!1"].asked.endswith("private, ask, at most 3 connections, 0 sent")
    assert "Python function" in lines["tcp!c!1"].reason
    assert {line.mechanism for at, line in lines.items() if "!" in at} == {"gate"}
    assert "hush" not in str(plan.json())
