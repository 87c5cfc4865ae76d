"""The report counts what was refused, each thing once."""

from __future__ import annotations

import tomllib

from libos.cli.report import LONGEST, MOST, SHOWN, Report
from libos.events import Event, Kind


def _report(*events: tuple[Kind, dict[str, object]]) -> list[str]:
    report = Report()
    for kind, fields in events:
        report.note(Event(kind, "w", fields))
    return report.lines()


def test_an_app_that_got_everything_has_one_line() -> None:
    assert _report(("app.start", {}), ("dial.open", {})) == ["the app got everything that it asked for"]


def test_each_thing_stands_once_with_its_count() -> None:
    lines = _report(
        ("path.absent", {"path": "/etc/shadow"}),
        ("path.absent", {"path": "/home"}),
        ("path.absent", {"path": "/home"}),
        ("dial.refused", {"network": "tcp", "address": "1.1.1.1", "port": 80}),
        ("name.absent", {"name": "example.com", "type": "A"}),
    )
    assert [line.split() for line in lines[:-1]] == [
        ["2x", "path", "/home"],
        ["1x", "path", "/etc/shadow"],
        ["1x", "name", "example.com"],
        ["1x", "dial", "tcp!1.1.1.1!80"],
    ]


def test_the_last_line_sums_up_and_says_how_to_give_it() -> None:
    lines = _report(("path.absent", {"path": "/home"}))
    assert lines[-1] == "1 thing was asked for and not given; give a path with -v SRC:AT"


def test_an_app_cannot_write_on_the_terminal_through_a_name() -> None:
    lines = _report(("path.absent", {"path": "/\x1b[2J\nlibos: all is well"}))
    assert r"/\x1b[2J\nlibos: all is well" in lines[0]


def test_an_app_that_asks_for_everything_fills_no_memory_and_no_screen() -> None:
    report = Report()
    for number in range(MOST + 5):
        report.note(Event("path.absent", "w", {"path": f"/{number}"}))
    lines = report.lines()
    assert len(lines) == SHOWN + 3
    assert f"and {MOST - SHOWN} more" in lines[SHOWN]
    assert lines[SHOWN + 1].split()[:2] == ["5", "more,"]


def test_what_libraries_look_for_is_one_line_and_comes_last() -> None:
    habits = ("/etc/ld.so.preload", "/etc/locale.alias", "/var") * 3
    looks: list[tuple[Kind, dict[str, object]]] = [("path.absent", {"path": path}) for path in habits]
    lines = _report(
        *looks,
        ("path.absent", {"path": "/etc/shadow"}),
        ("dial.refused", {"network": "tcp", "address": "1.1.1.1", "port": 80}),
    )
    assert [line.split()[:3] for line in lines[:3]] == [
        ["1x", "path", "/etc/shadow"],
        ["1x", "dial", "tcp!1.1.1.1!80"],
        ["3x", "path", "/var"],
    ]
    assert lines[3].strip() == "and 2 files that libraries look for by themselves; --events shows them"
    assert lines[4].startswith("3 things were asked for")


def test_an_app_whose_libraries_alone_were_refused_got_everything_else() -> None:
    assert _report(("path.absent", {"path": "/etc/ld.so.preload"})) == [
        "         and a file that libraries look for by themselves; --events shows it",
        "the app got everything else that it asked for",
    ]


def test_a_refusal_that_stands_for_several_counts_as_many_and_has_its_name() -> None:
    refused = {"network": "tcp", "address": "198.18.0.2", "name": "db", "port": 81, "count": 7}
    lines = _report(("dial.refused", refused), ("dial.refused", refused))
    assert lines[0].split() == ["14x", "dial", "tcp!db!81"]


def _remedies(*events: tuple[Kind, dict[str, object]]) -> tuple[list[str], list[str]]:
    report = Report()
    for kind, fields in events:
        report.note(Event(kind, "w", fields))
    return report.remedies("a.toml", exists=lambda path: path != "/none", passing=lambda: {"socket"})


def test_the_lines_that_would_grant_it_are_a_manifests() -> None:
    said, lines = _remedies(
        ("path.absent", {"path": "/opt"}),
        ("path.absent", {"path": "/none"}),
        ("path.absent", {"path": "/etc/ld.so.preload"}),
        ("path.absent", {"path": "/usr/lib/x", "mount": "/usr"}),
        ("dial.refused", {"network": "tcp", "address": "1.1.1.1", "port": 80}),
        ("syscall.refused", {"call": "socket"}),
        ("syscall.refused", {"call": "keyctl"}),
        ("syscall.refused", {"call": "bpf"}),
    )
    assert tomllib.loads("\n".join(lines)) == {
        "mount": [{"at": "/opt", "host": "/opt"}],
        "dial": [{"to": "tcp!1.1.1.1!80"}],
        "syscalls": {"allow": ["keyctl", "bpf"]},
    }
    words = "/opt 'tcp!1.1.1.1!80' keyctl bpf"
    assert said == [f"these lines of a manifest grant it; libos allow a.toml {words} writes them:"]


def test_what_holds_secrets_is_named_and_not_offered() -> None:
    said, lines = _remedies(("path.absent", {"path": "/root"}))
    assert lines == []
    assert said == ["/root is sensitive: it holds ~/.ssh: SSH keys; libos allow grants it with --yes"]


def test_a_long_name_is_cut() -> None:
    (line, _) = _report(("path.absent", {"path": "/" + "x" * 4000}))
    assert line.endswith("x…")
    assert len(line) < LONGEST + 20


def test_lost_events_are_one_line_whatever_their_number() -> None:
    lost = "events were lost: the reader was 10000 behind"
    lines = _report(*[("error", {"reason": lost, "lost": number}) for number in range(50)])
    assert [line.split()[0] for line in lines[:-1]] == ["50x"]


def test_a_fault_says_what_was_done_and_why_it_failed() -> None:
    lines = _report(("error", {"operation": "dial", "address": "tcp!db!5432", "error": "timed out"}))
    assert "dial tcp!db!5432: timed out" in lines[0]
