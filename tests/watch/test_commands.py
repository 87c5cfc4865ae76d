"""The command line that each key stands for, and the reasons where there is none."""

from __future__ import annotations

import shlex

import pytest
from watched import HAPPENED, event, seen

from libos.seen import Seen
from libos.watch import keys
from libos.watch.commands import CannotBeError, Command, World
from libos.watch.holding import Holding
from libos.watch.items import Item, Subject
from libos.watch.rows import Words, flattened
from libos.watch.trying import tried

KEYS = {key.shown: key for key in keys.ACTING}


def subject(state: Seen, ending: str) -> Subject:
    """What a row is about, by the end of its key."""
    items: list[Item] = [*Holding(state).items(), *tried(state)]
    every = flattened(items, {}, Words.of("-nothing-has-this")).rows
    (found,) = [row.item.subject for row in every if row.item.key[-1] == ending]
    return found


def meant(key: str, ending: str, state: Seen | None = None, manifest: str = "/srv/web.toml") -> Command:
    state = state or seen()
    chosen = subject(state, ending) if ending else None
    return keys.meaning(KEYS[key], World("web", manifest, state.grants), chosen)


@pytest.mark.parametrize(
    ("key", "ending", "line"),
    [
        ("o", "7", "libos ask web 7 once"),
        ("g", "7", "libos ask web 7 always"),
        ("d", "7", "libos ask web 7 no"),
        ("o", "/etc/shadow", "libos mount web /etc/shadow:/etc/shadow --ask"),
        ("g", "/etc/shadow", "libos mount web /etc/shadow:/etc/shadow"),
        ("g", "tcp!1.1.1.1!80", "libos dial web tcp!1.1.1.1!80"),
        ("o", "tcp!1.1.1.1!80", "libos dial web tcp!1.1.1.1!80 --ask"),
        ("g", "collector.example", "libos dial web tcp!collector.example!443"),
        ("n", "/work", "libos narrow web /work --read-only"),
        ("n", "/usr", "libos narrow web /usr --hide '*.pem'"),
        ("d", "/usr/bin/python3", "libos narrow web /usr --hide /bin/python3"),
        ("d", "2", "libos narrow web d1 --deny tcp!api.example.com!443"),
        ("r", "/work", "libos revoke web /work"),
        ("r", "2", "libos revoke web d1"),
        ("r", "6", "libos revoke web p1"),
        ("K", "", "libos kill web"),
        ("s", "", "libos exec -it web sh"),
    ],
)
def test_a_key_stands_for_a_command_line(key: str, ending: str, line: str) -> None:
    command = meant(key, ending)
    assert command.words == tuple(shlex.split(line)) == tuple(shlex.split(command.shown()))
    assert command.destructive == (key in "rK" or (key == "d" and ending != "7"))


@pytest.mark.parametrize(
    ("key", "ending", "why"),
    [
        ("g", "git", "unfold it"),
        ("g", "/work", "select what was refused"),
        ("d", "/etc/shadow", "does not have it"),
        ("r", "/etc/shadow", "select a grant"),
        ("n", "memory", "select a grant"),
        ("n", "6", "cannot be narrowed, only revoked"),
    ],
)
def test_where_there_is_no_command_the_reason_is_given(key: str, ending: str, why: str) -> None:
    with pytest.raises(CannotBeError, match=why):
        meant(key, ending)


def test_what_is_taken_back_is_not_taken_back_again() -> None:
    taken = event("grant", 2, action="revoke", id="9", path="/work", mechanism="overlay")
    with pytest.raises(CannotBeError, match="already"):
        meant("r", "/work", seen([*HAPPENED, taken]))


def test_where_two_grants_stand_at_one_place_the_command_would_not_be_clear() -> None:
    fields = {"mounts": [{"at": "/bin", "what": each} for each in ("one", "two")]}
    state = seen([event("world.plan", 0, **fields)])
    with pytest.raises(CannotBeError, match="several grants stand there"):
        meant("r", "/bin", state)


def test_without_a_manifest_nothing_is_written() -> None:
    with pytest.raises(CannotBeError, match="without a manifest"):
        meant("w", "/etc/shadow", manifest="")


def test_a_world_that_has_ended_takes_no_commands_but_its_manifest_does() -> None:
    state = seen()
    world = World("web", "/srv/web.toml", state.grants)
    chosen = subject(state, "/etc/shadow")
    for key in keys.ACTING:
        if key.running:
            with pytest.raises(CannotBeError, match=f"{key.word}: the world has ended"):
                keys.meaning(key, world, chosen, why_not_running="the world has ended")
    assert [key.shown for key in keys.applying(world, chosen, why_not_running="it ended")] == ["w"]


def test_what_an_app_named_is_one_word_and_shown_harmless() -> None:
    name = "/tmp/a b;\x1b[31m$(reboot)"
    command = meant("g", name, seen([event("path.absent", path=name)]))
    assert command.words == ("libos", "mount", "web", f"{name}:{name}")
    assert not command.is_plain
    assert command.shown().isprintable()


def test_what_is_hidden_is_no_pattern() -> None:
    state = seen([HAPPENED[0], event("path.used", path="/work/[a]*", operation="read", mount="/work")])
    assert meant("d", "/work/[a]*", state).words[-1] == "/\\[a\\]\\*"


def test_the_bar_shows_what_can_be_done_within_its_width() -> None:
    state = seen()
    world = World("web", "", state.grants)
    found = keys.applying(world, subject(state, "7"))
    assert [key.shown for key in found] == ["o", "g", "d", "K", "s"]
    assert (
        keys.bar(found, 100) == "o once  g grant  d deny  K kill  s shell  / filter  p pause  ? keys  q quit"
    )
    assert keys.bar(found, 40) == "o once  g grant  d deny  ? keys  q quit"
    assert len(keys.bar(found, 10)) == 10


def test_each_key_is_there_once_and_says_its_command() -> None:
    every = (*keys.ACTING, *keys.VIEWING)
    assert len({key.key for key in every}) == len({key.shown for key in every}) == len(every)
    assert all(key.line.startswith("libos ") for key in keys.ACTING)


def test_what_an_app_looked_for_is_no_mode() -> None:
    names = ("/srv/x:rw", "/y,after")
    state = seen([*HAPPENED, *(event("path.absent", 3, path=name) for name in names)])
    assert meant("w", "/srv/x:rw", state).words == ("libos", "allow", "/srv/web.toml", "/srv/x:rw:ro")
    for name in names:
        with pytest.raises(CannotBeError, match="write it to the manifest"):
            meant("g", name, state)


def test_a_name_of_two_lines_can_be_hidden() -> None:
    used = event("path.used", 3, path="/work/a\nb c", operation="read", mount="/work")
    assert meant("d", "/work/a\nb c", seen([*HAPPENED, used])).words[-1] == "/a?b\\ c"
