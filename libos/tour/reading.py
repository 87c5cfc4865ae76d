"""Reading a stop's folder: every error of stop.toml at once, then those of its other files.

Rules: nothing is run and nothing is written. Files are read as those of manifests are: a FIFO or a device in
a folder that was handed over makes nobody wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from libos.errors import ManifestError
from libos.manifest.check import judge
from libos.manifest.document import Document
from libos.manifest.problems import Problem, error, nearest
from libos.manifest.reading import read_document, read_text
from libos.tour.checks import Check
from libos.tour.schema import StopFile
from libos.tour.stop import APP, ATTACK, Outside, Program, Question, Stop
from libos.tour.story import Story, StoryError, read_story

# Every stop has these beside stop.toml and story.md.
_FILES = ("start.toml", "solution.toml")
# And may have these.
FOLDERS = ("files", "attack")
_LISTS = ("prints", "prints_not", "told", "told_not", "untouched")


def read_stop(folder: Path) -> Stop:
    """The stop in a folder. ManifestError with every error that was found."""
    document = read_document(str(folder / "stop.toml"))
    problems = judge(document, StopFile) or [*_problems(document)]
    story = _story(folder, problems)
    problems += [
        Problem(str(folder / name), 0, 0, "is not there: every stop has one")
        for name in _FILES
        if not (folder / name).is_file()
    ]
    problems += [
        Problem(str(folder / name), 0, 0, "is a link: a stop's files stand in its own folder")
        for name in FOLDERS
        if (folder / name).is_symlink()
    ]
    if problems or story is None:
        raise error(problems)
    raw = document.raw
    return Stop(
        name=folder.name,
        folder=folder,
        number=raw["number"],
        title=story.title,
        question=Question(
            raw["predict"]["asks"],
            tuple(raw["predict"]["choices"]),
            raw["predict"]["answer"],
            raw["predict"]["because"],
        ),
        programs=tuple(
            Program(each["name"], tuple(each["command"]), each.get("under", "world")) for each in raw["run"]
        ),
        checks=tuple(map(_check, raw["check"])),
        hints=tuple(each.strip() for each in raw["hints"]),
        story=story,
        outside=tuple(Outside(each["address"], each["answer"]) for each in raw.get("outside", ())),
        look=tuple(raw.get("look", ())),
        modes=MappingProxyType({path: int(mode, 8) for path, mode in raw.get("modes", {}).items()}),
    )


def _check(raw: Mapping[str, Any]) -> Check:
    lists = {key: tuple(raw.get(key, ())) for key in _LISTS}
    return Check(
        raw["says"], raw["run"], raw.get("status"), raw.get("ended"), **lists, at_most=raw.get("at_most", {})
    )


def _story(folder: Path, problems: list[Problem]) -> Story | None:
    name = str(folder / "story.md")
    try:
        return read_story(read_text(name, name))
    except StoryError as wrong:
        problems.append(Problem(name, 0, 0, str(wrong)))
    except ManifestError as wrong:
        problems.append(Problem(name, 0, 0, str(wrong).removeprefix(f"{name}: ")))
    return None


def _problems(document: Document) -> Iterator[Problem]:
    """What a stop says that no key by itself is wrong about."""
    raw = document.raw
    if ord(raw["predict"]["answer"]) - ord("a") >= len(raw["predict"]["choices"]):
        message = f"no choice has the key {raw['predict']['answer']}"
        yield document.problem(("predict", "answer"), message)
    names = [each["name"] for each in raw["run"]]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield document.problem(("run", index, "name"), f'"{name}" is the name of another run already')
    if ATTACK not in names:
        yield document.problem(("run",), 'none of them is the attack: write name = "attack"')
    for index, check in enumerate(raw["check"]):
        at = ("check", index)
        if check["run"] not in (APP, *names):
            message = f'no run is named "{check["run"]}"{nearest(check["run"], [APP, *names])}'
            yield document.problem((*at, "run"), message)
        if not _check(check).asks:
            yield document.problem(
                at, f"it asks for nothing: write {', '.join(('status', 'ended', *_LISTS, 'at_most'))}"
            )
    for run in (APP, ATTACK):
        if all(check["run"] != run for check in raw["check"]):
            yield document.problem(("check",), f'none is of the {run}: write one with run = "{run}"')
