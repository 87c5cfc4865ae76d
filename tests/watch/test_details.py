"""What is said about what is selected."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from watched import EXIT, HAPPENED, PLAN, connection, event, seen

from libos.seen import Seen
from libos.watch.details import details
from libos.watch.holding import Holding
from libos.watch.items import Item, Subject
from libos.watch.rows import Words, flattened
from libos.watch.trying import tried


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def said(state: Seen, ending: str) -> list[str]:
    """The lines about the row whose key ends so."""
    items: list[Item] = [*Holding(state).items(), *tried(state)]
    every = flattened(items, {}, Words.of("-nothing-has-this")).rows
    (subject,) = [row.item.subject for row in every if row.item.key[-1] == ending]
    return lines(state, subject)


def lines(state: Seen, subject: Subject) -> list[str]:
    return [line.text for line in details(state, subject)]


def test_of_what_was_absent_the_rule_and_what_would_grant_it() -> None:
    found = said(seen(), "/home")
    assert found[:2] == ["path /home", "tried once, 00:00:00"]
    assert found[2].startswith("/home does not exist in this world: no mount stands at it or above it")
    assert found[3:7] == [
        "to grant it, in web.toml:",
        "    [[mount]]",
        '    at = "/home"',
        '    host = "/home"',
    ]


def test_of_what_holds_secrets_the_warning() -> None:
    assert any(line.startswith("mind: /etc/shadow is sensitive") for line in said(seen(), "/etc/shadow"))


def test_of_an_address_the_dial_that_would_grant_it() -> None:
    assert '    to = "tcp!1.1.1.1!80"' in said(seen(), "tcp!1.1.1.1!80")
    assert any('to = "tcp!collector.example!' in line for line in said(seen(), "collector.example"))


def test_of_what_a_grant_refuses_the_line_that_does() -> None:
    dial = {"id": "d1", "to": "tcp!*.example!443", "deny": ["tcp!bad.example!443"], "origin": "web.toml:9:1"}
    plan = event("world.plan", 0, **{**PLAN.fields, "dials": [dial]})
    denied = event("dial.denied", 1, address="tcp!bad.example!443", grant="d1", reason="deny", count=1)
    found = said(seen([plan, denied]), "tcp!bad.example!443")
    assert "decided by web.toml:9:1" in found


def test_of_what_libos_why_knows_nothing_of_the_reason_that_was_told() -> None:
    wrong = event(
        "http.refused", 1, method="GET", host="x", path="/", reason="no rule lets this request pass"
    )
    assert said(seen([PLAN, wrong]), "GET x/")[2] == (
        "the grant's HTTP rules refuse it: no rule lets this request pass"
    )


def test_of_a_grant_where_it_was_asked_for_and_its_use() -> None:
    assert said(seen(), "/work") == [
        "mount /work: host /srv/project",
        "copy-on-write, overlay: changes end with the world",
        "asked for in web.toml:12:1",
        "used: write 3, read 1; the last time 00:00:00",
    ]
    assert said(seen(), "/run/secrets/token")[-1] == "never used: a manifest without it would have done"


def test_of_a_grant_that_was_narrowed_and_taken_back() -> None:
    of = {"id": "9", "path": "/work", "mechanism": "overlay"}
    state = seen(
        [*HAPPENED, event("grant", 2, action="narrow", **of), event("grant", 3, action="revoke", **of)]
    )
    assert said(state, "/work")[3:5] == ["revoked", "narrowed once while it ran"]


def test_of_a_file_what_gives_it() -> None:
    assert said(seen(), "/usr/bin/python3") == [
        "/usr/bin/python3",
        "itself: execute 1",
        "given by the mount of /usr, asked for in profile base",
    ]


def test_of_a_connection_its_ends_and_its_grant() -> None:
    assert said(seen(), "1") == [
        "connection 1: tcp!api.example.com!443",
        "leads to 93.184.215.14:443",
        "opened by curl (9 inside)",
        "by the grant d1, asked for in web.toml:21:1",
        "118 sent, 8.3K received, 0.100 s",
    ]
    assert said(seen(), "2")[-1] == "open since 00:00:00"


def test_of_a_connection_its_requests() -> None:
    request = event("http.request", 2, **connection(2, method="GET", host="x", path="/v1", status=200))
    assert said(seen([*HAPPENED, request]), "2")[-1] == "GET x/v1 200"


def test_of_a_limit_how_it_is_held_its_hits_and_its_peak() -> None:
    assert said(seen([*HAPPENED, EXIT]), "memory") == [
        "limit memory: 512M",
        "held by cgroup, asked for in web.toml:31:1",
        "the world ran into it 2 times",
        "peak 20.0M",
    ]


def test_of_groups_what_they_are() -> None:
    assert said(seen(), "git")[1] == "a program that was looked for along PATH, and is nowhere in it"
    assert said(seen(), "libraries")[1].startswith("nearly every program looks for these")


def test_of_nothing_the_world_and_its_gaps() -> None:
    found = lines(seen(), None)
    assert found[:2] == ["web: python3 web.py", "from web.toml"]
    assert "incomplete: the app's end was not told" in found


def test_whatever_a_file_says_is_shown() -> None:
    odd = [
        event("path.absent", 1e300, path="relative"),
        event("dial.refused", 1, address="!!!", port=-1),
        event("name.absent", 1, name="\x00"),
        event("syscall.refused", 1, call=3),
        event("ask", 1, id=1, path=None, operation=None),
        event("app.exit", 1, status="x", used={"memory": "much"}),
    ]
    state = seen(odd)
    for row in flattened([*Holding(state).items(), *tried(state)], {}, Words.of("-nothing-has-this")).rows:
        assert all(line.isprintable() for line in lines(state, row.item.subject))
