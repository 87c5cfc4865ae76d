"""What a world holds, as items."""

from __future__ import annotations

from watched import EXIT, HAPPENED, PLAN, event, seen

from libos.seen import Seen
from libos.seen.amounts import size
from libos.watch.details import details
from libos.watch.holding import Holding
from libos.watch.rows import Words, flattened


def held(state: Seen, *opened: tuple[str, ...], now: dict[str, str] | None = None) -> list[str]:
    rows = flattened(Holding(state, now).items(), dict.fromkeys(opened, True), Words()).rows
    return [f"{'  ' * row.depth}{row.item.text} | {row.item.tail}".rstrip(" |") for row in rows]


def test_grants_stand_in_a_tree_with_counters_and_what_was_never_used() -> None:
    assert held(seen()) == [
        "files | 4 mounts, 2 never used",
        "  /etc/passwd | never used",
        "  /run/secrets/token | never used",
        "  /usr/ | 13x",
        "  /work/  copy-on-write | 4x",
        "network | 3 grants, 2 never used",
        "  tcp!api.example.com!443 | 2x",
        "  tcp!db.example!5432 | never used",
        "  port 8000  publish 127.0.0.1:8000 | never used",
        "limits",
        "  memory  512M | hit 2x",
    ]


def test_what_was_used_below_a_grant_unfolds() -> None:
    rows = held(seen(), ("files", "/usr"), ("files", "/work"))
    assert rows[3:9] == [
        "  /usr/ | 13x",
        "    bin/python3 | 1x",
        "    lib/python3/os.py | 12x",
        "  /work/  copy-on-write | 4x",
        "    out/log | 3x",
        "    web.py | 1x",
    ]


def test_without_a_record_nothing_is_said_to_be_unused() -> None:
    fields = {**PLAN.fields, "recorded": False}
    rows = held(seen([event("world.plan", 0, **fields)]))
    assert "files | 4 mounts" in rows
    assert "  /run/secrets/token" in rows
    assert "  tcp!db.example!5432 | never used" in rows


def test_a_mode_is_harmless_too() -> None:
    mount = {"at": "/w", "what": "host", "mode": "\x1b[2J", "mechanism": "bind"}
    state = seen([event("world.plan", 0, mounts=[mount])])
    shown = [*held(state), *(each.text for each in details(state, next(iter(state.grants))))]
    assert all(line.isprintable() for line in shown)
    assert any("\\x1b[2J" in line for line in shown)


def test_what_was_taken_back_says_so_and_counts_no_more() -> None:
    taken = event("grant", 2, action="revoke", id="9", path="/run/secrets/token", mechanism="served")
    dropped = event("grant", 2, action="drop", id="d2", address="tcp!db.example!5432", mechanism="gate")
    rows = held(seen([*HAPPENED, taken, dropped]))
    assert "files | 3 mounts, 1 never used" in rows
    assert "  /run/secrets/token | revoked" in rows
    assert "  tcp!db.example!5432 | dropped" in rows


def test_limits_show_what_is_measured_and_at_last_the_peak() -> None:
    assert "  memory  512M | now 3.0M, peak 20.0M  hit 2x" in held(
        seen(), now={"memory": "now 3.0M, peak 20.0M"}
    )
    assert "  memory  512M | peak 20.0M  hit 2x" in held(seen([*HAPPENED, EXIT]))


def test_what_was_looked_for_in_vain_is_no_part_of_what_is_held() -> None:
    assert not any("shadow" in row or "home" in row for row in held(seen()))


def test_sizes_are_read_by_people() -> None:
    assert [size(each) for each in (0, 1023, 1536, 3 << 20, 5 << 40)] == [
        "0",
        "1023",
        "1.5K",
        "3.0M",
        "5120.0G",
    ]
