"""Which addresses a world below another one may dial, by values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from libos.branch import Branch
from libos.manifest.model import Dial, Network
from libos.nesting.addresses import beyond_dials
from libos.nesting.holding import Holding
from libos.plan import Plan
from libos.plan.network import rule


def above(*dials: Dial, **network: Any) -> Holding:
    granted = cast(Any, [SimpleNamespace(rule=rule(dial)) for dial in dials])
    plan = cast(Plan, SimpleNamespace(network=Network(**network)))
    return Holding("build", plan, (), granted, Branch("build"), False)


def why(to: str, *held: Dial, **keys: Any) -> str:
    return "".join(beyond_dials([rule(Dial(to, **keys))], above(*held)))


@pytest.mark.parametrize("held, to", [
    ("tcp!10.0.0.1!80", "tcp!10.0.0.1!80"),
    ("tcp!10.0.0.0/8!80-90", "tcp!10.1.2.3!81,85"),
    ("tcp!10.0.0.0/8!80", "tcp!10.1.0.0/16!80"),
    ("tcp!*.example.org!443", "tcp!www.example.org!443"),
    ("tcp!*.example.org!443", "tcp!*.example.org!443"),
    ("tcp!*!443", "tcp!**.example.org!443"),
])  # fmt: skip
def test_what_the_world_above_may_dial_is_let_in(held: str, to: str) -> None:
    assert why(to, Dial(held)) == ""


@pytest.mark.parametrize("held, to", [
    ("tcp!10.0.0.1!80", "tcp!10.0.0.1!81"),
    ("tcp!10.0.0.1!80", "tcp!10.0.0.2!80"),
    ("tcp!10.0.0.1!80", "tcp!10.0.0.1!80-81"),
    ("tcp!10.1.0.0/16!80", "tcp!10.0.0.0/8!80"),
    ("tcp!www.example.org!443", "tcp!*.example.org!443"),
    ("tcp!*.example.org!443", "tcp!**.example.org!443"),
    ("tcp!*.example.org!443", "tcp!a.b.example.org!443"),
    ("tcp!*!443", "tcp!10.0.0.1!443"),
])  # fmt: skip
def test_what_it_may_not_is_refused(held: str, to: str) -> None:
    assert "is not granted" in why(to, Dial(held))


def test_the_first_grant_that_covers_decides_as_in_the_gate() -> None:
    denied = Dial("tcp!10.0.0.0/8!80", deny=("tcp!10.0.0.1!80",))
    assert "is not granted" in why("tcp!10.0.0.1!80", denied, Dial("tcp!10.0.0.1!80"))
    assert why("tcp!10.0.0.1!80", Dial("tcp!10.0.0.1!80"), denied) == ""


def test_ways_that_do_not_go_through_the_gate_above_are_refused() -> None:
    held = Dial("tcp!10.0.0.1!80")
    assert "datagrams" in why("udp!10.0.0.1!80", Dial("udp!10.0.0.1!80"))
    assert "a way outside of its own" in why("tcp!10.0.0.1!80", held, via="tcp!127.0.0.1!9")
    assert "judged as HTTP" in why("tcp!10.0.0.1!80", Dial("tcp!10.0.0.1!80", http=()))


@pytest.mark.parametrize("network", [{"rate": 1000}, {"delay": 0.1}, {"loss": 0.1}, {"capture": "/tmp/x"}])
def test_a_link_that_is_shaped_or_captured_is_not_passed_by(network: dict[str, Any]) -> None:
    held = above(Dial("tcp!10.0.0.1!80"), **network)
    (told,) = beyond_dials([rule(Dial("tcp!10.0.0.1!80"))], held)
    assert "shaped or captured" in told
    assert list(beyond_dials([], held)) == []
