"""`Seen` draws the state of a world from its events, whatever they say."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

import pytest

from libos.events import Event, Kind
from libos.seen import Filter, Seen
from libos.seen.attempts import Attempts
from libos.seen.connections import MOST as MOST_CONNECTIONS
from libos.seen.connections import MOST_OF_ONE, MOST_REQUESTS, ConnectionsSeen
from libos.seen.grants import MOST as MOST_GRANTS
from libos.seen.timeline import MOST as MOST_STEPS
from libos.seen.timeline import Timeline
from libos.seen.touched import MOST_CHARACTERS, Touched
from libos.seen.tree import Tree

PLAN: dict[str, object] = {
    "manifest": "agent.toml",
    "folder": "/home/me",
    "directory": "/work",
    "path": "/usr/bin:/bin",
    "syscalls": {"profile": "strict", "origin": "agent.toml:9:1"},
    "mounts": [
        {"at": "/usr", "what": "host /usr, read-only", "mode": "read-only", "mechanism": "bind",
         "reason": "the same view", "origin": "profile base"},
        {"at": "/work", "what": "host ./w, read-write", "mode": "read-write", "mechanism": "bind",
         "reason": "the same view", "origin": "agent.toml:3:1"},
    ],
    "dials": [{"id": "d1", "to": "tcp!db!5432", "what": "dial", "origin": "agent.toml:12:1"}],
    "listens": [{"port": 80, "network": "tcp", "publish": "127.0.0.1:8080", "origin": "agent.toml:15:1"}],
    "limits": [{"key": "memory", "asked": "512M", "mechanism": "cgroup", "origin": "agent.toml:18:1"}],
}  # fmt: skip


def seen_of(*events: tuple[str, Mapping[str, object]]) -> Seen:
    seen = Seen()
    for at, (kind, fields) in enumerate(events):
        seen.feed(Event(kind, "w", fields, 100.0 + at))  # type: ignore[arg-type]  # any kind may stand in a file
    return seen


def test_an_app_that_binds_without_end_is_counted_and_breaks_no_view() -> None:
    binds = (("grant", {"action": "mount", "id": f"{n}", "path": f"/b/{n}"}) for n in range(MOST_GRANTS))
    seen = seen_of(("world.plan", PLAN), *binds)
    assert (len(seen.grants), seen.grants.beyond) == (MOST_GRANTS, 4)
    standing = [node for node in seen.tree.root.walk() if node.grant is not None]
    assert all(seen.grants[node.grant or 0].at == node.path for node in standing)
    assert seen.grants.covering(f"/b/{MOST_GRANTS - 1}") is None
    assert any("further grants are not shown" in mark for mark in seen.marks())


def test_requests_without_end_are_bounded() -> None:
    connections = ConnectionsSeen()
    for number in range(MOST_CONNECTIONS * 2):
        connections.opens("dial", 1.0, {"connection": number})
        for _ in range(MOST_OF_ONE + 1):
            connections.request({"connection": number, "method": "GET", "host": "h", "path": "/" * 4000})
    kept = [request for each in connections for request in each.requests]
    assert len(kept) == MOST_REQUESTS
    assert max(map(len, kept)) < 400


def test_what_runs_touched_is_bounded_by_its_names_too() -> None:
    touched = Touched()
    for number in range(2 * MOST_CHARACTERS // 4000):
        touched.feed(Event("path.absent", "w", {"path": f"/{number:04000}"}))
    assert sum(len(name) for _, name in touched.things) <= MOST_CHARACTERS
    assert len(touched.things) + touched.beyond == 2 * MOST_CHARACTERS // 4000


def test_what_the_plan_grants_is_known_with_the_lines_that_ask_for_it() -> None:
    seen = seen_of(("world.plan", PLAN))
    assert [(each.kind, each.at, each.origin) for each in seen.grants] == [
        ("mount", "/usr", "profile base"),
        ("mount", "/work", "agent.toml:3:1"),
        ("dial", "tcp!db!5432", "agent.toml:12:1"),
        ("listen", "tcp!*!80", "agent.toml:15:1"),
    ]
    assert (seen.about.manifest, seen.limits["memory"].origin) == ("agent.toml", "agent.toml:18:1")


def test_a_plan_that_is_told_in_parts_is_one() -> None:
    parts = [{key: value} for key, value in PLAN.items()]
    assert len(seen_of(*(("world.plan", part) for part in parts)).grants) == 4


def test_use_counts_for_the_path_for_all_above_it_and_for_the_grant() -> None:
    used = {"path": "/work/a/b", "mount": "/work", "operation": "read", "count": 3}
    seen = seen_of(("world.plan", PLAN), ("path.used", used), ("path.used", {**used, "operation": "write"}))
    node = seen.tree.find("/work/a/b")
    assert node is not None
    assert dict(node.own) == {"read": 3, "write": 3}
    assert dict(seen.tree.root.sums) == {"read": 3, "write": 3}
    grant = seen.grants.mounted("/work")
    assert grant is not None
    assert grant.used == 6


def test_grants_that_were_never_used_are_told_where_that_is_known() -> None:
    seen = seen_of(("world.plan", PLAN), ("dial.open", {"grant": "d1", "connection": 1}))
    assert [each.at for each in seen.unused()] == ["tcp!*!80"]
    seen.feed(Event("path.used", "w", {"path": "/usr/bin/sh", "mount": "/usr", "operation": "execute"}))
    assert [each.at for each in seen.unused()] == ["/work", "tcp!*!80"]


def test_a_published_port_of_the_plan_is_known_by_its_id() -> None:
    plan = {**PLAN, "listens": [{"id": "p1", "port": 80, "network": "tcp", "publish": "127.0.0.1:8080"}]}
    revoked = {
        "action": "revoke",
        "id": "p1",
        "address": "tcp!127.0.0.1!8080",
        "port": 80,
        "mechanism": "gate",
    }
    seen = seen_of(("world.plan", plan), ("grant", revoked))
    assert [(each.id, each.ended) for each in seen.grants if each.kind == "listen"] == [("p1", "revoke")]


def test_an_attempt_is_grouped_and_counted() -> None:
    refused: dict[str, object] = {"network": "tcp", "address": "1.1.1.1", "port": 80, "count": 7}
    seen = seen_of(("dial.refused", refused), ("dial.refused", refused), ("path.absent", {"path": "/etc/x"}))
    assert [(each.kind, each.what, each.count) for each in seen.attempts] == [
        ("dial", "tcp!1.1.1.1!80", 14),
        ("path", "/etc/x", 1),
    ]
    node = seen.tree.find("/etc/x")
    assert node is not None
    assert node.is_absent


def test_a_program_that_was_looked_for_along_path_is_one_group_and_habits_another() -> None:
    paths = (
        "/usr/bin/tool",
        "/bin/tool",
        "/etc/ld.so.preload",
        "/usr/lib/gconv/gconv-modules.cache",
        "/home",
    )
    seen = seen_of(("world.plan", PLAN), *[("path.absent", {"path": path}) for path in paths])
    assert [(group.kind, group.what, len(group.attempts)) for group in seen.groups()] == [
        ("program", "tool", 2),
        ("one", "/home", 1),
        ("libraries", "what libraries look for by themselves", 2),
    ]
    assert sum(len(group.attempts) for group in seen.groups()) == len(seen.attempts)


def test_a_program_that_was_found_at_last_says_where() -> None:
    found = {"path": "/bin/tool", "mount": "/", "operation": "execute"}
    seen = seen_of(("world.plan", PLAN), ("path.absent", {"path": "/usr/bin/tool"}), ("path.used", found))
    (group,) = seen.groups()
    assert (group.kind, group.what, group.found) == ("program", "tool", "/bin/tool")


def test_a_connection_is_followed_from_its_opening_to_its_end() -> None:
    opened: dict[str, object] = {
        "address": "tcp!db!5432",
        "grant": "d1",
        "to": "10.0.0.1:5432",
        "connection": 4,
    }
    closed = opened | {"sent": 10, "received": 20, "seconds": 0.5, "program": "psql", "error": None}
    seen = seen_of(("world.plan", PLAN), ("dial.open", opened), ("dial.close", closed))
    (connection,) = seen.connections
    assert (connection.program, connection.sent, connection.received) == ("psql", 10, 20)
    assert (seen.connections.open, seen.connections.sent) == (0, 10)


def test_a_grant_that_is_taken_back_says_so() -> None:
    seen = seen_of(("world.plan", PLAN), ("grant", {"action": "revoke", "id": "2", "path": "/work"}))
    grant = seen.grants.mounted("/work")
    assert grant is not None
    assert grant.ended == "revoke"
    assert seen.grants.covering("/work/a") is None


def test_a_grant_that_is_made_while_it_runs_is_one_more() -> None:
    made = {"action": "mount", "id": "9", "path": "/data", "mechanism": "bind"}
    seen = seen_of(("world.plan", PLAN), ("grant", made))
    grant = seen.grants.covering("/data/x")
    assert grant is not None
    assert (grant.at, grant.mechanism) == ("/data", "bind")


def test_a_run_is_complete_with_its_exit_and_without_loss() -> None:
    ended = ("app.exit", {"status": 0, "reason": "exit", "seconds": 1.5, "used": {"memory": 5}})
    seen = seen_of(("app.start", {"command": ["ls"], "pid": 3}), ended)
    assert seen.is_complete
    assert seen.exit is not None
    assert (seen.exit.seconds, seen.exit.used) == (1.5, {"memory": 5})
    seen.feed(Event("error", None, {"reason": "events were lost", "lost": 12}))
    assert not seen.is_complete
    assert "12 events were lost" in seen.marks()


def test_only_the_world_that_is_asked_for_counts() -> None:
    seen = Seen("b")
    for world in ("a", "b"):
        seen.feed(Event("path.absent", world, {"path": f"/{world}"}))
    assert list(seen.worlds) == ["a", "b"]
    assert [each.what for each in seen.attempts] == ["/b"]


@pytest.mark.parametrize("seed", range(20))
def test_fields_of_any_type_change_nothing_that_breaks(seed: int) -> None:
    chance = random.Random(seed)
    values: list[object] = [
        None,
        True,
        -1,
        10**400,
        1.5,
        "",
        "/x",
        "\x1b[2J",
        [],
        [1],
        {},
        {"at": {}},
        [PLAN],
    ]
    kinds = ("world.plan", "app.start", "app.exit", "path.used", "path.absent", "audit", "grant", "dial.open",
             "dial.close", "listen.open", "http.request", "http.refused", "limit.hit", "missing", "error",
             "syscall.refused", "answer", "dial.refused", "secret.refused", "whatever")  # fmt: skip
    keys = ("path", "mount", "operation", "count", "action", "id", "address", "port", "connection", "mounts",
            "dials", "listens", "limits", "syscalls", "used", "status", "lost", "grant", "call", "command",
            "network", "limit", "times", "feature", "name", "answer", "error", "sent")  # fmt: skip
    seen = Seen()
    for _ in range(500):
        fields = {key: chance.choice(values) for key in chance.sample(keys, 8)}
        seen.feed(Event(chance.choice(kinds), "w", fields, 1.0).bounded())  # type: ignore[arg-type]
    assert seen.events == 500
    assert isinstance(seen.marks() + [group.what for group in seen.groups()], list)
    assert all(isinstance(each.at, str) for each in seen.grants)


def test_a_tree_has_a_bound_and_loses_no_count() -> None:
    tree = Tree(most=10)
    for number in range(100):
        tree.count(f"/d/{number}", "read", 1, 1.0)
    assert tree.size == 10
    assert tree.root.sums["read"] == 100
    node = tree.find("/d")
    assert node is not None
    assert node.beyond == 100 - 8


def test_a_path_of_a_thousand_names_is_folded() -> None:
    tree = Tree()
    node = tree.count("/a" * 1000, "read", 1, 1.0)
    assert tree.size < 100
    assert node.beyond == 1
    assert len(list(tree.root.walk())) == tree.size


def test_attempts_have_a_bound_and_lose_no_count() -> None:
    attempts = Attempts(most=3)
    for number in range(10):
        attempts.add(Event("path.absent", "w", {"path": f"/{number}"}))
    assert (len(attempts), attempts.beyond) == (3, 7)


def test_a_time_line_widens_its_steps() -> None:
    line = Timeline()
    for second in range(10_000):
        line.add(float(second), "files")
    assert len(line.counts) <= MOST_STEPS
    assert sum(count["files"] for count in line.counts) == 10_000


EVENTS: list[tuple[Kind, dict[str, object]]] = [
    ("path.absent", {"path": "/etc/shadow"}),
    ("path.used", {"path": "/etc/passwd", "operation": "read"}),
    ("dial.refused", {"address": "1.1.1.1", "port": 80}),
    ("dial.close", {"address": "tcp!db!1", "program": "curl"}),
]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("", [0, 1, 2, 3]),
        ("kind:dial", [2, 3]),
        ("kind:dial.refused", [2]),
        ("path:/etc", [0, 1]),
        ("path:*shad*", [0]),
        ("path:/etc op:read", [1]),
        ("path:/etc kind:dial", []),
        ("program:curl", [3]),
        ("-kind:dial", [0, 1]),
        ("1.1.1", [2]),
        ("kind:path kind:dial -shadow", [1, 2, 3]),
    ],
)
def test_filters_count_what_they_leave_out(words: str, left: list[int]) -> None:
    filtering = Filter(words.split())
    found = [at for at, (kind, fields) in enumerate(EVENTS) if filtering.passes(Event(kind, "w", fields))]
    assert found == left
    assert (filtering.passed, filtering.out) == (len(left), len(EVENTS) - len(left))


def test_state_is_made_of_json_values_alone() -> None:
    seen = seen_of(("world.plan", PLAN), ("path.absent", {"path": "/x\udcff"}))
    assert json.dumps([each.what for each in seen.attempts]) == '["/x\\udcff"]'
