"""What was tried in a world, as items."""

from __future__ import annotations

from watched import EXIT, HAPPENED, event, seen

from libos.seen import Seen
from libos.watch.rows import Words, flattened
from libos.watch.trying import tried


def rows(state: Seen, *opened: tuple[str, ...]) -> list[str]:
    made = flattened(tried(state), dict.fromkeys(opened, True), Words()).rows
    return [f"{'  ' * row.depth}{row.item.text} | {row.item.tail}" for row in made]


def test_what_waits_comes_first_then_what_was_refused_then_connections() -> None:
    assert rows(seen()) == [
        "ask    open /work/key.pem | waits",
        "dial   tcp!1.1.1.1!80 | 3x",
        "path   git in 2 directories of PATH | 2x",
        "path   /etc/shadow | 2x",
        "path   /home | 1x",
        "name   collector.example | 1x",
        "what libraries look for by themselves (1) | 1x",
        "connections | 1 open of 2",
        "  → tcp!api.example.com!443 | open",
        "  → tcp!api.example.com!443  curl | 118 out, 8.3K in",
    ]


def test_groups_unfold_into_every_attempt() -> None:
    found = rows(seen(), ("program", "git"), ("libraries",))
    assert {
        "  path   /usr/bin/git | 1x",
        "  path   /bin/git | 1x",
        "  path   /etc/ld.so.preload | 1x",
    } <= set(found)


def test_a_program_that_was_found_at_last_says_where() -> None:
    there = event("path.used", 2, path="/usr/bin/git", operation="execute", mount="/usr")
    only = event("path.absent", 2, path="/bin/git")
    (found,) = [row for row in rows(seen([HAPPENED[0], only, there])) if "git" in row]
    assert found == "path   git in one directory of PATH, found as /usr/bin/git | 1x"


def test_an_answer_ends_a_question() -> None:
    answered = event("answer", 2, id=7, path="/work/key.pem", answer="no", by="command")
    found = rows(seen([*HAPPENED, answered]))
    assert not any("waits" in row for row in found)
    assert "ask    /work/key.pem | 1x" in found


def test_at_the_end_of_the_app_nothing_waits() -> None:
    assert not any("waits" in row for row in rows(seen([*HAPPENED, EXIT])))


def test_what_is_not_in_a_mount_is_one_row_that_unfolds() -> None:
    missing = [event("path.absent", 2, path=f"/usr/share/{name}", mount="/usr") for name in "ab"]
    state = seen([*HAPPENED, *missing])
    assert "not there in what is mounted (2) | 2x" in rows(state)
    assert "  path   /usr/share/a | 1x" in rows(state, ("within",))


def test_every_attempt_stands_in_one_row() -> None:
    state = seen()
    every = flattened(tried(state), {}, Words.of("-nothing-has-this")).rows
    listed = [row.item.key[2] for row in every if row.item.key[0] == "attempt"]
    assert sorted(listed) == sorted(attempt.what for attempt in state.attempts)


def test_names_of_an_app_are_harmless() -> None:
    state = seen([event("path.absent", path="/tmp/\x1b[2J\nx" + "y" * 1_000_000)])
    (row,) = rows(state)
    assert row.isprintable()
    assert len(row) < 1000
