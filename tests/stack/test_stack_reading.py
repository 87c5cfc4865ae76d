"""Stack files: what they say, in which order their worlds start, and every error at its place."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.errors import ManifestError
from libos.stack import Ready, Restart, Stack, Stop, Strategy, load_stack
from libos.stack.model import When
from libos.stack.order import CircleError, start_order

HEAD = "libos = 1\n"


def world(name: str, *lines: str) -> str:
    return "\n".join(["[[world]]", f'name = "{name}"', 'app = { command = ["true"] }', *lines, ""])


def dials(to: str) -> str:
    return f'dial = [{{ to = "{to}" }}]'


def load(folder: Path, text: str) -> Stack:
    (folder / "shop.toml").write_text(HEAD + text)
    return load_stack(folder / "shop.toml")


def errors(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(folder)
    (folder / "shop.toml").write_text(HEAD + text)
    with pytest.raises(ManifestError) as caught:
        load_stack("shop.toml")
    return str(caught.value).splitlines()


def test_a_stack_is_named_by_its_file_and_has_defaults(tmp_path: Path) -> None:
    stack = load(tmp_path, world("a"))
    assert (stack.name, stack.strategy, stack.log_size, stack.log_files) == (
        "shop",
        Strategy.ONE_FOR_ONE,
        10 << 20,
        3,
    )
    (only,) = stack.members
    assert (only.ready, only.restart, only.stop) == (None, Restart(When.NEVER), Stop(signal.SIGTERM, 10.0))
    assert only.manifest.app.hostname == "a"
    assert stack.member("a") is only


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "db.toml").write_text('libos = 1\n[app]\ncommand = ["db"]\n')
    stack = load(
        tmp_path,
        """
[stack]
name = "other"
strategy = "rest-for-one"
logs = { size = "1M", files = 7 }
[[world]]
name = "db"
manifest = "db.toml"
expose = [5432, 5433]
ready = { port = 5432, timeout = "2min" }
restart = { when = "on-failure", limit = 3, within = "10s", first = "50ms", most = "1s" }
stop = { signal = "int", grace = "1s" }
"""
        + world("web", "dial = [{ to = 'tcp!db!5432-5433' }]", 'restart = "always"'),
    )
    assert (stack.name, stack.strategy, stack.log_size, stack.log_files) == (
        "other",
        Strategy.REST_FOR_ONE,
        1 << 20,
        7,
    )
    db, web = stack.members
    assert db.manifest.app.command == ("db",)
    assert db.ready == Ready(port=5432, seconds=120.0)
    assert db.restart == Restart(When.ON_FAILURE, 3, 10.0, 0.05, 1.0)
    assert db.stop == Stop(signal.SIGINT, 1.0)
    assert (web.needs, web.links) == (("db",), (("db", 5432), ("db", 5433)))
    assert web.restart.when is When.ALWAYS


def test_worlds_start_after_what_they_need_else_as_they_are_written(tmp_path: Path) -> None:
    text = world("c", 'needs = ["b"]') + world("d") + world("b") + world("a", "dial = [{ to = 'tcp!c!80' }]")
    text = text.replace('needs = ["b"]', 'needs = ["b"]\nexpose = [80]')
    assert [each.name for each in load(tmp_path, text).members] == ["d", "b", "c", "a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ['the key "world" is missing: write a [[world]]']),
        (world("A"), ['3:8: "A" is no name for a world']),
        (world("localhost"), ['3:8: "localhost" means every world itself']),
        (world("a") + world("a"), ['6:8: "a" is already the name of shop.toml:2:1']),
        (world("a", 'needs = ["b"]'), ['5:10: no other world is named "b"']),
        (world("aa", 'needs = ["bbc"]') + world("bbb"), ['named "bbc", did you mean "bbb"?']),
        ('[[world]]\nname = "a"\n', ['2:1: "a" has no command']),
        (world("a", "ready = { }"), ["5:9: ready is one of port, file, line and command: this one has none"]),
        (world("a", 'ready = { port = 1, line = "x" }'), ["5:9: ready is one of", "port and line"]),
        (world("a", 'restart = "often"'), ['5:11: "restart"']),
        (world("a", 'stop = { signal = "SIGNO" }'), ['5:19: "SIGNO" is no signal']),
        (world("a", "exposed = [1]"), ['5:1: unknown key "exposed", did you mean "expose"?']),
        (world("a", 'manifest = "no.toml"'), ["no.toml"]),
        (world("a", "mount = [{ at = 'x', host = '.' }]"), ['5:17: "x" is a relative path']),
        (
            world("a", "dial = [{ to = 'tcp!b!80' }]") + world("b"),
            ['"b" does not expose port 80: write expose = [80]'],
        ),
        (world("a", "dial = [{ to = 'udp!b!80' }]") + world("b", "expose = [80]"), ["a link leads by tcp"]),
        (
            world("a", "dial = [{ to = 'tcp!a!80' }]", "expose = [80]"),
            ["a link leads by tcp to another world"],
        ),
        (world("a", 'needs = ["b"]') + world("b", 'needs = ["a"]'), ["these need each other: ", "-> "]),
    ],
)
def test_errors_of_a_stack(
    text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = errors(tmp_path, text, monkeypatch)
    assert len(found) == 1, found
    assert all(part in found[0] for part in expected), found


def test_all_errors_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = world("a", "mount = [{ at = 'x', host = '.' }]") + world("b", 'needs = ["c"]')
    assert len(errors(tmp_path, text, monkeypatch)) == 2


names = st.integers(0, 7).map(lambda number: f"w{number}")


@given(st.dictionaries(names, st.lists(names, max_size=4), min_size=1))
def test_an_order_has_everything_after_what_it_needs_or_is_a_circle(
    needs: dict[str, list[str]],
) -> None:
    whole = {name: [each for each in wanted if each in needs] for name, wanted in needs.items()}
    try:
        order = start_order(whole)
    except CircleError as circle:
        assert circle.names[0] == circle.names[-1]
        assert all(after in whole[one] for one, after in zip(circle.names, circle.names[1:], strict=False))
        return
    assert sorted(order) == sorted(whole)
    place = {name: index for index, name in enumerate(order)}
    assert all(place[each] < place[name] for name, wanted in whole.items() for each in wanted)
