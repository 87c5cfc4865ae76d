"""Which rule decides, where it stands, and what would grant the thing."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

import pytest

from libos.errors import ManifestError
from libos.events import Event
from libos.manifest import from_mapping
from libos.plan import lower
from libos.plan.telling import told
from libos.seen import Seen
from libos.syscalls.tables import group_of
from libos.why.deciding import why
from libos.why.questions import Question, question
from libos.why.remedies import mount
from libos.why.verdict import Verdict

MANIFEST = """
libos = 1
include = ["base"]

[app]
command = ["true"]

[[mount]]
at = "/work"
host = "."
hide = ["**/.env"]

[[mount]]
at = "/own"
host = "."
mode = "read-write"

[[dial]]
to = "tcp!*.example.org!443"
deny = ["tcp!bad.example.org!443"]

[syscalls]
deny = ["personality"]

[limits]
processes = 64
"""


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    from libos.manifest import load

    path = tmp_path / "agent.toml"
    path.write_text(MANIFEST)
    made = Seen()
    for fields in told(lower(load(path))):
        made.feed(Event("world.plan", "w", fields).bounded())
    return made


def asked(seen: Seen, word: str) -> Verdict:
    return why(seen, question(word), exists=lambda path: path != "/no/such")


def line_of(text: str) -> int:
    return MANIFEST.splitlines().index(text) + 1


@pytest.mark.parametrize(
    ("word", "granted", "says"),
    [
        ("/etc/shadow", False, "no mount stands at it or above it"),
        ("/work/a", True, "is given by the mount at /work"),
        ("/work/a:rw", False, "writing it is EROFS"),
        ("/own/a:rw", True, "read and written (read-write)"),
        ("/work/a/.env", False, 'leaves it out by hide = ["**/.env"]'),
        ("/", False, "a directory of the world itself"),
        ("/proc/self", True, "made by init"),
        ("tcp!api.example.org!443", True, "granted by the dial to tcp!*.example.org!443"),
        ("https://api.example.org/v1", True, "granted by the dial"),
        ("bad.example.org:443", False, "denies tcp!bad.example.org!443"),
        ("1.1.1.1:80", False, "no [[dial]] covers it"),
        ("api.example.org", True, "is named by the dial"),
        ("example.com", False, "NXDOMAIN"),
        ("read", True, "is allowed"),
        ("keyctl", False, "refused with EPERM"),
        ("personality", False, "deny names it"),
        ("processes", True, "limits.processes is 64"),
        ("limits.cpus", True, "is not said"),
    ],
)
def test_the_rule_that_decides_is_told(seen: Seen, word: str, granted: bool, says: str) -> None:
    verdict = asked(seen, word)
    assert verdict.granted == granted
    assert says in verdict.text


@pytest.mark.parametrize(
    ("word", "header"),
    [("/work/a", "[[mount]]"), ("tcp!api.example.org!443", "[[dial]]"), ("processes", "processes = 64")],
)
def test_where_the_rule_stands_is_told_with_its_line(seen: Seen, word: str, header: str) -> None:
    assert f"agent.toml:{line_of(header)}:" in asked(seen, word).origin


@pytest.mark.parametrize(
    "word", ["/etc/shadow", "/no/such", "/opt:cow", "1.1.1.1:80", "example.com", "keyctl"]
)
def test_the_lines_grant_what_was_asked_for(seen: Seen, word: str) -> None:
    remedy = asked(seen, word).remedy
    assert remedy is not None
    lines = tomllib.loads("\n".join(remedy.lines))
    if word == "/opt:cow":
        assert lines == {"mount": [{"at": "/opt", "host": "/opt", "mode": "copy-on-write"}]}
    manifest = {"libos": 1, "app": {"command": ["true"]}, **lines}
    from_mapping(manifest)  # it is a manifest


def test_a_name_that_is_made_to_be_read_wrongly_stays_one_string(seen: Seen) -> None:
    path = '/a"\n[[dial]]\nto = "tcp!evil!1"\u202e\x7f'
    remedy = asked(seen, path).remedy
    assert remedy is not None
    assert tomllib.loads("\n".join(remedy.lines))["mount"][0]["at"] == path


def test_a_name_that_no_manifest_can_hold_says_so(seen: Seen) -> None:
    remedy = asked(seen, "/a\udcff").remedy
    assert remedy is not None
    assert remedy.lines == ()
    assert "not UTF-8" in remedy.warning


def test_how_often_it_was_tried_is_told(seen: Seen) -> None:
    for _ in range(3):
        seen.feed(Event("path.absent", "w", {"path": "/var"}))
    assert "The app looked for /var 3 times." in asked(seen, "/var/lib/x").text


def test_what_was_taken_back_grants_nothing_any_more(seen: Seen) -> None:
    seen.feed(Event("grant", "w", {"action": "revoke", "id": "7", "path": "/own"}))
    assert not asked(seen, "/own/a").granted


def test_a_limit_that_was_met_says_so(seen: Seen) -> None:
    seen.feed(Event("limit.hit", "w", {"limit": "processes", "times": 4}))
    verdict = asked(seen, "processes")
    assert (verdict.granted, verdict.remedy and verdict.remedy.lines) == (
        False,
        ("[limits]", "processes = 128"),
    )
    assert "The app met it 4 times." in verdict.text


@pytest.mark.parametrize(
    "word",
    ["", "what is it", "limits.nothing", "tcp!x", "!!", "tcp!!", "a b:80", "tcp!h!99999", "http://", "ws://",
     "http://[::1", "http://h:99999", "http://h:x", "http://h:0", "://x", "ftp://h", "999"],
)  # fmt: skip
def test_what_cannot_be_asked_about_is_one_message(word: str) -> None:
    with pytest.raises(ManifestError):
        question(word)


def test_every_call_with_a_name_is_answered() -> None:
    seen = Seen()
    for name in group_of():
        assert why(seen, question(name)).text.startswith(name)


@pytest.mark.parametrize("path", ["/a", "/a:rw", "/a:cow", "/a:ro", "/a:rw:ro", "/a b"])
def test_the_word_that_is_offered_for_a_path_means_that_path(path: str) -> None:
    (word,) = shlex.split(mount(path).words)
    asked = question(word)
    assert asked.what == path
    assert asked.mode in ("", "ro")


def test_words_are_read_as_people_write_them() -> None:
    assert question("/a//b/:rw") == Question("path", "/a/b", "rw")
    assert question("db:5432") == Question("address", "tcp!db!5432")
    assert question("[::1]:80") == Question("address", "tcp!::1!80")
    assert question("http://h/x") == Question("address", "tcp!h!80")
    assert question("memory=1G") == Question("limit", "memory", "1G")


def test_a_name_that_leads_to_private_addresses_is_told_with_what_lets_it(seen: Seen) -> None:
    def led(found: list[str], left_out: list[str]) -> Verdict:
        fields = {"name": "db.example.org", "grant": "d1", "found": found, "left_out": left_out}
        seen.feed(Event("name.resolved", "w", fields))
        verdicts = [asked(seen, word) for word in ("db.example.org", "tcp!db.example.org!443")]
        assert len({(each.granted, each.remedy) for each in verdicts}) == 1
        return verdicts[1]

    refused = led([], ["10.0.0.7"])
    assert not refused.granted
    assert "leads to the private address 10.0.0.7 alone, so a connection is reset" in refused.text
    assert refused.remedy is not None and refused.remedy.within == "the [[dial]] to tcp!*.example.org!443"
    assert tomllib.loads("\n".join(refused.remedy.lines)) == {"private": True}
    assert shlex.split(refused.remedy.option) == ["--dial", "tcp!*.example.org!443,private"]
    assert asked(seen, "tcp!api.example.org!443").remedy is None
    partly = led(["93.184.215.14"], ["10.0.0.7", "::1"])
    assert partly.granted and "private addresses 10.0.0.7, ::1 too, which is left out" in partly.text
    assert led(["93.184.215.14"], []).remedy is None


def test_a_peak_is_told_in_the_units_of_its_limit(seen: Seen) -> None:
    used = {"memory": 100 << 20, "processes": 64}
    seen.feed(Event("app.exit", "w", {"status": 0, "reason": "exit", "seconds": 1.0, "used": used}))
    assert "Its peak was 100.0M." in asked(seen, "memory").text
    assert "Its peak was 64." in asked(seen, "processes").text
