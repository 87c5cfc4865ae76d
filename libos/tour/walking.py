"""One stop with a learner: predict, run, look, break, change, by way of a console.

Rules:
- What was done is noted before the next thing is asked, so that whoever leaves, by whatever way, goes on
  from there.
- A stop that fails, or a folder that was spoiled, is told and can be tried again, begun anew or skipped: it
  never ends the tour.
- What a program printed is made harmless by the console before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from libos.events import Event
from libos.harmless import harmless
from libos.seen.lines import said
from libos.tour.checks import Checked, Seen, matches
from libos.tour.collection import TourError
from libos.tour.judging import attempt
from libos.tour.progress import Visit
from libos.tour.running import Runner
from libos.tour.stop import APP, Stop
from libos.tour.verdict import Verdict, score
from libos.tour.watching import Watch

# Lines of a program's output, and events, that are shown.
_MOST_LINES = 16
# What is told of no run: every world begins and ends so.
_ALWAYS = frozenset(["world.plan", "app.start", "app.exit"])
_KEYS = {
    "\n": "Enter check",
    "e": "e edit",
    "h": "h hint",
    "r": "r run",
    "n": "n begin anew",
    "s": "s skip",
    "q": "q leave",
}
_MARKS = {"holds": ("ok", "good"), "fails": ("no", "bad"), "broken": ("broken", "doubtful")}


class Console(Protocol):
    """A learner's terminal, or what stands for it."""

    def heading(self, text: str) -> None:
        """Show a heading."""

    def text(self, text: str) -> None:
        """Show text in the markup of stories."""

    def item(self, mark: str, text: str, style: str = "") -> None:
        """Show a text behind a mark; the style is good, bad or doubtful."""

    def lines(self, lines: Sequence[str]) -> None:
        """Show lines as they are, made harmless."""

    async def key(self, keys: Sequence[str], prompt: str, watch: Watch | None = None) -> str:
        """Wait for one of the keys; "" once the watched file has changed. Raises EOFError."""

    async def edit(self, path: Path) -> None:
        """Let the learner edit a file, if there is an editor."""


class LeaveError(Exception):
    """The learner leaves the tour."""


class Walk:
    """A visit of one stop. `note` keeps how far it came."""

    def __init__(
        self,
        runner: Runner,
        console: Console,
        visit: Visit,
        note: Callable[[Visit], None],
    ) -> None:
        self._runner = runner
        self._console = console
        self._visit = visit
        self._note = note
        self._hints = 0
        self._watch = Watch(runner.workspace.manifest)

    @property
    def _stop(self) -> Stop:
        return self._runner.stop

    async def go(self) -> bool:
        """The whole stop; whether it was passed, and not skipped. Raises LeaveError, EOFError, HostError,
        SupervisorError."""
        try:
            await self._introduce()
        except TourError as error:
            self._console.item("!", str(error), "bad")
        return await self._change()

    def _keep(self, **changes: object) -> None:
        self._visit = replace(self._visit, **changes)  # type: ignore[arg-type]  # the fields of a visit
        self._note(self._visit)

    async def _introduce(self) -> None:
        console, stop = self._console, self._stop
        console.text(stop.story.introduction)
        console.heading("Predict")
        console.text(stop.question.asks)
        for key, choice in zip(stop.question.keys, stop.question.choices, strict=True):
            console.item(f"{key})", choice)
        predicted = await self._ask(tuple(stop.question.keys), "Your key")
        state = "done" if self._visit.state == "done" else "begun"
        self._keep(state=state, predicted=predicted)
        console.heading("Run")
        await self._runner.workspace.prepare()
        app = await self._runner.run(APP)
        console.lines(output(app))
        right = predicted == stop.question.answer
        say = f"You said {predicted}, and so it is." if right else f"It is {stop.question.answer}."
        console.item("ok" if right else "no", f"{say} {stop.question.because}", "good" if right else "bad")
        console.heading("Look")
        console.lines(list(events(stop, app)) or ["(no event)"])
        console.text(stop.story.sections["look"])
        await self._ask(("\n",), "Enter: break it")
        console.heading("Break")
        console.text(stop.story.sections["break"])
        await self._show_programs()
        await self._ask(("\n",), "Enter: mend it")

    async def _show_programs(self) -> None:
        """Run what comes with the stop, and show what it does."""
        for program in self._stop.programs:
            self._console.item(f"{program.name}:", " ".join(program.command))
            self._console.lines(output(await self._runner.run(program.name)))

    async def _ask(self, keys: Sequence[str], prompt: str) -> str:
        key = await self._console.key((*keys, "q"), f"{prompt} (q leaves)")
        if key == "q":
            raise LeaveError
        return key

    async def _change(self) -> bool:
        """Change the manifest until it passes, or skip."""
        self._console.heading("Change")
        self._console.text(self._stop.story.sections["change"])
        self._watch.note()
        self._where()
        while True:
            prompt = ", ".join(_KEYS.values())
            key = await self._console.key(tuple(_KEYS), prompt, self._watch)
            if key == "q":
                raise LeaveError
            if key == "s":
                if self._visit.state != "done":
                    self._keep(state="skipped")
                return False
            try:
                if await self._act(key):
                    return True
            except TourError as error:
                self._console.item("!", str(error), "bad")

    def _where(self) -> None:
        self._console.text("The manifest is this file; each change of it is checked:")
        self._console.lines([str(self._runner.workspace.manifest)])

    async def _act(self, key: str) -> bool:
        """Do what a key says; whether the stop is passed."""
        if key == "h":
            self._hint()
        elif key == "r":
            await self._show_programs()
        elif key == "n":
            self._runner.workspace.begin_anew()
            self._watch.note()
            self._console.text("The manifest is what it was at the start.")
        elif key == "e":
            await self._console.edit(self._runner.workspace.manifest)
            return await self._check()
        else:
            return await self._check()
        return False

    def _hint(self) -> None:
        hints = self._stop.hints
        number = min(self._hints, len(hints) - 1)
        self._hints = number + 1
        self._keep(hints=max(self._visit.hints, self._hints))
        self._console.item(f"hint {number + 1} of {len(hints)}:", hints[number])

    async def _check(self) -> bool:
        self._watch.note()
        verdict = await attempt(self._runner)
        self._keep(tries=self._visit.tries + 1)
        show(self._console, verdict)
        if not verdict.passed:
            return False
        self._note_passed(verdict)
        self._console.heading("What the programs say now")
        for name, seen in verdict.seen.items():
            self._console.item(f"{name}:", "")
            self._console.lines([*output(seen), *events(self._stop, seen)])
        self._console.heading("Who did it first")
        self._console.text(self._stop.story.sections["card"])
        return True

    def _note_passed(self, verdict: Verdict) -> None:
        self._visit = self._visit.passed(verdict.grants)
        self._note(self._visit)


def show(console: Console, verdict: Verdict) -> None:
    """Show what became of each check, and the score of a pass."""
    if verdict.error:
        for line in verdict.error.splitlines():
            console.item("no", line, "bad")
        console.text("Nothing was run. n puts the manifest back as it was at the start.")
        return
    for each in verdict.checked:
        mark, style = _MARKS[each.outcome]
        console.item(mark, _sentence(each), style)
    if verdict.broken:
        console.item("!", "The stop itself is at fault, no manifest can pass it: s skips it.", "doubtful")
    if verdict.passed:
        console.item("done", score(verdict.grants, verdict.par), "good")


def _sentence(checked: Checked) -> str:
    return f"{checked.check.says} ({checked.why})" if checked.why else checked.check.says


def output(seen: Seen) -> list[str]:
    """The lines of a run that are shown: what it printed, and its status where that is not 0."""
    if seen.status is None:
        return [f"(it could not be run: {seen.error})"]
    lines = seen.output.rstrip("\n").split("\n") if seen.output.strip() else ["(it prints nothing)"]
    left = len(lines) - _MOST_LINES
    lines = [*lines[:_MOST_LINES], f"(… {left} more lines)"] if left > 0 else lines
    return [*lines, *([f"(exit status {seen.status})"] if seen.status else [])]


def events(stop: Stop, seen: Seen) -> Iterator[str]:
    """The events of a run that the stop shows, each once with a count."""
    counts: dict[str, int] = {}
    for each in seen.events:
        wanted = any(matches(pattern, each) for pattern in stop.look)
        if wanted and each.get("kind") not in _ALWAYS:
            line = _line(each)
            counts[line] = counts.get(line, 0) + 1
    for line, count in list(counts.items())[:_MOST_LINES]:
        yield f"{count}x {line}" if count > 1 else line


def _line(event: object) -> str:
    assert isinstance(event, dict)
    fields = {key: value for key, value in event.items() if key not in ("version", "time", "world", "kind")}
    return harmless(f"{event['kind']}  {said(Event(event['kind'], None, fields))}".rstrip())
