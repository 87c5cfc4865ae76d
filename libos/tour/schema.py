"""The grammar of stop.toml, as the models by which it is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from libos.events import Kind
from libos.manifest import values
from libos.manifest.schema_base import Argument, Table, checked, unwritten
from libos.tour.stop import HINTS

_KINDS = frozenset(get_args(Kind))


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("nothing is said: write a text")
    return text


def _program_name(text: str) -> str:
    if not text.replace("-", "").isalnum() or text == "app":
        raise ValueError(
            f'"{text}" names no program: letters, digits and "-", and "app" is the manifest\'s own'
        )
    return text


def _relative(text: str) -> str:
    if not text or text.startswith("/") or {"", ".", ".."} & set(text.split("/")) or "\0" in text:
        raise ValueError(f"{text!r} is no path below files/: write one as home/notes")
    return text


def _mode(text: str) -> int:
    if len(text) not in (3, 4) or not set(text) <= set("01234567"):
        raise ValueError(f'"{text}" is no mode: write octal digits, as "600"')
    return int(text, 8)


def _pattern(pattern: dict[str, Any]) -> dict[str, Any]:
    if pattern.get("kind") not in _KINDS:
        raise ValueError(
            f'an event has a kind that there is: {{ kind = "path.absent", path = "/etc/*" }}, not {pattern}'
        )
    return pattern


Text = Annotated[str, checked(_said)]
Event = Annotated[dict[str, str | int | float | bool], checked(_pattern)]


class PredictTable(Table):
    """What is to be predicted."""

    asks: Text = Field(description="The question.")
    choices: list[Text] = Field(
        min_length=2, max_length=8, description="The answers, with the keys a, b, c …"
    )
    answer: Literal["a", "b", "c", "d", "e", "f", "g", "h"] = Field(description="The key of the right one.")
    because: Text = Field(description="Why; shown after the run.")


class RunTable(Table):
    """A program besides the app; one of them is the attack."""

    name: Annotated[str, checked(_program_name)] = Field(description='"attack", or a name for checks.')
    command: list[Argument] = Field(min_length=1, description="Its words; the stop's own folder is /tour.")
    under: Literal["world", "chroot"] = Field(
        default_factory=unwritten, description="In the manifest's world, or under chroot(2) alone."
    )


class OutsideTable(Table):
    """A service that the tour plays for whoever is let out to it."""

    address: Annotated[str, checked(values.dial_target)] = Field(description="As in a [[dial]], no pattern.")
    answer: str = Field(description="What a connection reads.")


class CheckTable(Table):
    """One check: what is asked of a run. All of it must be so."""

    says: Text = Field(description="What holds, in a sentence.")
    run: str = Field(description='"app", or the name of a [[run]].')
    status: int = Field(default_factory=unwritten, ge=0, le=255, description="The exit status.")
    ended: str = Field(default_factory=unwritten, description="The reason of app.exit, as memory or time.")
    prints: list[Text] = Field(default_factory=unwritten, description="Texts that it prints.")
    prints_not: list[Text] = Field(default_factory=unwritten, description="Texts that it does not print.")
    told: list[Event] = Field(default_factory=unwritten, description="Fields of events that are told.")
    told_not: list[Event] = Field(default_factory=unwritten, description="Fields of events that are not.")
    untouched: list[Text] = Field(
        default_factory=unwritten,
        description="Patterns of paths below files/ that the run left as they were.",
    )
    at_most: dict[Literal["calls", "grants"], Annotated[int, Field(ge=0)]] = Field(
        default_factory=unwritten,
        description="How many system calls its world lets through, how many grants.",
    )


class StopFile(Table):
    """A stop of the tour."""

    tour: Literal[1] = Field(description="The version of the grammar.")
    number: int = Field(ge=1, description="Its place among the stops of its folder.")
    predict: PredictTable
    run: list[RunTable] = Field(min_length=1)
    check: list[CheckTable] = Field(min_length=1)
    hints: list[Text] = Field(min_length=HINTS, max_length=HINTS, description="From a nudge to the answer.")
    outside: list[OutsideTable] = Field(default_factory=unwritten)
    look: list[Event] = Field(default_factory=unwritten, description="The events that are shown.")
    modes: dict[Annotated[str, checked(_relative)], Annotated[str, checked(_mode)]] = Field(
        default_factory=unwritten, description="Permission bits of paths below files/."
    )
