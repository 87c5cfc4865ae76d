"""`libos report`: one page that needs nothing else, bounded, and that says what it leaves out."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from looking import HOSTILE, line

from libos.page.document import page, sheet
from libos.page.making import report
from libos.seen import EventsError, Seen
from libos.seen.reading import EventLines

PLAN = {
    "manifest": "agent.toml",
    "recorded": True,
    "mounts": [
        {"at": "/data", "what": "host ./data, read-only", "mode": "read-only", "origin": "agent.toml:4:1"},
        {"at": "/spare", "what": "memory, 1G", "mode": "read-write", "origin": "agent.toml:9:1"},
    ],
    "dials": [{"id": "d1", "to": "tcp!api.example.com!443", "what": "dial", "origin": "agent.toml:12:1"}],
    "limits": [{"key": "memory", "asked": "512M", "mechanism": "cgroup", "origin": "agent.toml:20:1"}],
}
RUN = (
    line("world.plan", **PLAN),
    line("app.start", 1000.1, pid=7, command=["agent", "--fast"]),
    line("path.used", 1000.2, path="/data/notes", operation="read", mount="/data", count=3),
    line("path.absent", 1000.3, path="/etc/shadow"),
    line(
        "dial.open", 1000.4, address="tcp!api.example.com!443", grant="d1", to="192.0.2.1:443", connection=1
    ),
    line("http.request", 1000.5, grant="d1", connection=1, method="GET", host="api.example.com", path="/v1"),
    line("dial.close", 1000.9, grant="d1", connection=1, sent=10, received=2500, program="agent", error=None),
    line("dial.refused", 1001.0, network="tcp", address="1.1.1.1", name=None, port=80, count=4),
    line("syscall.refused", 1001.1, call="ptrace", error="ENOSYS", process=3, count=2),
    line("app.exit", 1002.0, status=0, reason="exit", seconds=1.9, used={"memory": 23_000_000}),
)


def seen_of(*lines: str) -> Seen:
    seen, reading = Seen(), EventLines("events")
    for event in reading.feed("".join(lines).encode()):
        seen.feed(event)
    return seen


def page_of(*lines: str) -> str:
    return page(sheet(seen_of(*lines)))[0]


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text without its style sheet."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.found if name == tag)


def text_of(page: str) -> str:
    return " ".join(" ".join(Elements(page).words).split())


def test_a_page_tells_the_run() -> None:
    said = text_of(page_of(*RUN))
    for words in (
        "agent --fast",
        "manifest agent.toml",
        "outcome status 0 after 1.9 s",
        "file operations 3",
        "grants never used 1 of 3",
        "peak memory 21.9M",
        "notes read 3 times",
        "shadow not there, looked for once",
        "4 ⊘ address tcp!1.1.1.1!80",
        "2 ⊘ system call ptrace",
        "/spare memory, 1G, read-write agent.toml:9:1 ○ never used",
        "out tcp!api.example.com!443 1 request GET api.example.com/v1 192.0.2.1:443 agent 10 B out, 2.5 kB",
        "memory 512M 21.9M cgroup agent.toml:20:1",
        "Nothing: all that the events say is here.",
    ):
        assert words in said


def test_what_would_grant_a_thing_is_beside_it() -> None:
    said = text_of(page_of(*RUN, line("path.absent", path="/srv/data")))
    assert (
        'what would grant it [[mount]] at = "/srv/data" host = "/srv/data" '
        "# or: libos allow agent.toml /srv/data" in said
    )
    assert '[[dial]] to = "tcp!1.1.1.1!80" # or: libos allow agent.toml' in said
    assert "# mind: /etc/shadow is sensitive" in said


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    made = page_of(*RUN)
    elements = Elements(made)
    policy = next(each["content"] for each in elements.all("meta") if "http-equiv" in each)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; img-src data:; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )
    assert {name for name, _ in elements.found} & {
        "script",
        "img",
        "iframe",
        "object",
        "form",
        "base",
    } == set()
    addresses = [each.get(key) for _, each in elements.found for key in ("href", "src") if each.get(key)]
    assert all(each and each.startswith(("#", "data:,")) for each in addresses)
    assert not [key for _, each in elements.found for key in each if key.startswith("on") or key == "style"]


def test_hostile_names_are_text_and_every_element_is_the_templates() -> None:
    plain = {name for name, _ in Elements(page_of(*RUN)).found}
    events = [line("path.absent", path=f"/{name}") for name in HOSTILE[:-1]]
    events += [
        line("grant", action="mount", id=name, path=name, mechanism=name, note=name) for name in HOSTILE[:-1]
    ]
    events += [line("dial.denied", address=name, grant=name, reason=name) for name in HOSTILE[:-1]]
    events += [line("missing", feature=name, reason=name) for name in HOSTILE[:-1]]
    events += [line("limit.hit", limit=name, times=1) for name in HOSTILE[:-1]]
    events += [line("app.exit", status=1, reason=HOSTILE[1], seconds=1, used={HOSTILE[0]: 5})]
    events += [line("app.start", pid=1, command=list(HOSTILE[:-1]))]
    made = page_of(*events)
    assert {name for name, _ in Elements(made).found} <= plain
    assert "\x1b" not in made and "\u202e" not in made and "\x00" not in made
    assert "two\\nlines\\r\\x1b[31mred\\x07\\x00" in html.unescape(made)
    assert "not utf-8: \\xff\\x80" in made
    assert made.encode()  # no half of a character is left


def test_a_name_of_megabytes_is_cut_and_its_length_told() -> None:
    made = page_of(line("path.absent", path="/" + "x" * 3_000_000))
    assert len(made) < 40_000
    assert "xxx… (4,097 characters)" in made


def test_a_flood_is_a_bounded_page_that_says_what_it_leaves_out() -> None:
    flood = [line("path.absent", 1000 + n / 100, path=f"/flood/{n}") for n in range(25_000)]
    dials = (
        line("dial.open", 2000 + n, address=f"tcp!10.0.0.1!{n}", grant="d", to="x", connection=n)
        for n in range(1, 900)
    )
    made = page_of(*flood, *dials)
    assert len(made) < 1_500_000
    said = text_of(made)
    assert "8,002 names of the tree, counted at the nearest name above" in said
    assert "9,700 things of those asked for in vain" in said
    assert "599 connections: the latest are listed" in said
    assert "15000 attempts at further things are not shown" in said
    assert "more names below are not shown" in said


def test_a_world_with_nothing_in_it_is_a_page_all_the_same() -> None:
    said = text_of(page_of(line("app.start", pid=1, command=["true"])))
    for words in (
        "Everything that was asked for was there.",
        "None was made.",
        "incomplete: the app's end was not told",
    ):
        assert words in said


def test_headings_tables_and_pictures_are_named_for_who_does_not_see_them() -> None:
    elements = Elements(page_of(*RUN))
    levels = [int(name[1]) for name, _ in elements.found if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(each.get("scope") == "col" for each in elements.all("th"))
    ids = [each["id"] for _, each in elements.found if each.get("id")]
    assert len(ids) == len(set(ids))
    assert all(each["aria-labelledby"] in ids for each in elements.all("section"))
    assert all(each.get("aria-label") or each.get("aria-hidden") for each in elements.all("svg"))
    assert all(each.get("aria-label") for _, each in elements.found if each.get("role") == "img")
    assert next(elements.all("html")) == {"lang": "en"}
    assert all(str(each["href"])[1:] in ids for each in elements.all("a"))


def _colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    css = Path(sys.modules["libos.page"].__path__[0], "page.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    colours = _colours(light if scheme == "light" else dark.partition("\n}")[0])
    texts = ("text", "quiet", "absent", "refused", "used", "grant", "failed")
    grounds = {"ground": texts, "panel": texts, "grant-ground": ("grant",), "used-ground": ("text", "used"),
               "absent-ground": ("text", "absent")}  # fmt: skip
    for ground, names in grounds.items():
        for name in names:
            dim, bright = sorted((_luminance(colours[name]), _luminance(colours[ground])))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (name, ground)  # WCAG 2.2, 1.4.3


def test_one_of_several_worlds_is_chosen_by_name(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text(line("path.absent", world="web", path="/a") + line("path.absent", world="db", path="/b"))
    with pytest.raises(EventsError, match="several worlds: choose one with --world: web, db"):
        report(str(file))
    assert "<title>db</title>" in report(str(file), "db")
    with pytest.raises(EventsError, match="no event is of a world 'x'; there are: web, db"):
        report(str(file), "x")


def test_what_is_wrong_in_a_file_is_on_the_page(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text("{broken\n" + "".join(RUN) + '{"version": 1, "ti')
    said = text_of(report(str(file)))
    assert "line 1 is no event; passed over" in said
    assert "the last line is cut" in said


def _run(*argv: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    libos = str(Path(sys.executable).parent / "libos")
    return subprocess.run([libos, "report", *argv], cwd=folder, input=stdin, capture_output=True, text=True)


def test_the_command_writes_the_page_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("".join(RUN))
    done = _run("run.jsonl", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "libos: the page is run.html\n")
    made = (tmp_path / "run.html").read_text()
    assert made.startswith("<!doctype html>")
    assert (tmp_path / "run.html").stat().st_mode & 0o777 == 0o644
    assert _run("-", "-o", "-", folder=tmp_path, stdin="".join(RUN)).stdout == made
    (tmp_path / "newer").write_text(
        json.dumps({"version": 9, "time": 1, "world": "w", "kind": "app.exit"}) + "\n"
    )
    failed = _run("newer", "-o", "run.html", folder=tmp_path)
    assert failed.returncode == 2
    assert "an event of version 9" in failed.stderr
    assert (tmp_path / "run.html").read_text() == made
    assert sorted(each.name for each in tmp_path.iterdir()) == ["newer", "run.html", "run.jsonl"]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("none.jsonl",), "none.jsonl: No such file or directory; libos run --events FILE writes one"),
        (("-",), "where should the page go? Name a file: -o run.html"),
        (("empty",), "empty: there is no event in it; libos run --events FILE writes some"),
        (("events.html",), "events.html would be overwritten: name another file with -o"),
        (("events.html", "-o", "none/x.html"), "none/x.html: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_a_remedy(
    argv: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "events.html").write_text("".join(RUN))
    done = _run(*argv, folder=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty", "events.html"]
