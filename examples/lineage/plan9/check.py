"""Names are a process's own, directories are unions, a server is a program, and a name space is a text."""

from __future__ import annotations

from pathlib import Path

from claims import Evidence, Property, scratch
from probing import said

import libos

TITLE = "Plan 9, 1992: a name space for each process, in which every service is a file"
HERE = Path(__file__).parent
NAMESPACE = HERE / "plan9.ns"

PROPERTIES = {
    "own": Property(
        "two programs see different files under one name",
        "both are given the same name space",
        lambda saw: saw == {"one": "mine", "another": "team"},
    ),
    "union": Property(
        "a union shows all its elements, the first that has a name wins, and new files go where -c says",
        "bind in place of bind -b: it replaces what stood there",
        lambda saw: saw.split() == ["greeting", "only-mine", "only-team", "mine", "made"],
    ),
    "server": Property(
        "a file is what a program in user space answers, anew at each open",
        "the file is a text",
        lambda saw: saw.split() == ["answer", "1", "answer", "2"],
    ),
    "text": Property(
        "a name space prints as a text that makes the same name space again",
        "a line of the text is left out",
        lambda saw: saw["again"] == saw["first"] and saw["text again"] == saw["text"],
    ),
}

SHOW = "ls /n; cat /n/greeting; echo made > /n/new && cat /n/new"


class World:
    """A world of a namespace(6) text."""

    def __init__(self, supervisor: libos.Supervisor, folder: Path) -> None:
        self._supervisor = supervisor
        self._file = folder / "world.ns"

    async def show(self, text: str, command: str) -> tuple[str, str]:
        """What a shell command says in the name space of a text, and that name space as libos prints it."""
        self._file.write_text(text)
        manifest = libos.load_namespace(
            self._file,
            environment={"here": str(HERE), "PATH": "/bin"},
            command=["sh", "-c", command],
        )
        return await said(self._supervisor, manifest), manifest.namespace().text()


def line_of(text: str, place: str) -> str:
    """The line that mounts at a place, with its end."""
    return next(line for line in text.splitlines(keepends=True) if f" {place}" in line)


async def server(supervisor: libos.Supervisor, *, static: bool) -> str:
    """What a program reads of a file that a Python function answers, opened twice."""
    numbers = iter(range(1, 9))
    what = {"text": "answer 1\n"} if static else {"function": lambda: f"answer {next(numbers)}\n"}
    command = ["sh", "-c", "cat /srv/answer; cat /srv/answer"]
    return await said(
        supervisor,
        {"include": ["base"], "app": {"command": command}, "mount": [{"at": "/srv/answer", **what}]},
    )


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Look at /n in several name spaces."""
    text = NAMESPACE.read_text()
    of_team = text.replace("bind -b #host$here/mine /n\n", "")
    with scratch() as folder:
        world = World(supervisor, folder)
        one, _ = await world.show(text, "cat /n/greeting")
        another, _ = await world.show(text if without == "own" else of_team, "cat /n/greeting")
        replacing = text.replace("bind -b #host$here/mine", "bind #host$here/mine")
        union, _ = await world.show(replacing if without == "union" else text, SHOW)
        first, printed = await world.show(text, SHOW)
        kept = printed.replace(line_of(printed, "/n"), "") if without == "text" else printed
        again, printed_again = await world.show(kept, SHOW)
    return {
        "own": {"one": one, "another": another},
        "union": union,
        "server": await server(supervisor, static=without == "server"),
        "text": {"first": first, "again": again, "text": printed, "text again": printed_again},
    }
