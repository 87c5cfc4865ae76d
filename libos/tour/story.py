"""The texts of a stop, and how they are laid out. Pure.

story.md has a heading `# TITLE`, an introduction, and the sections below. Its markup is the least that reads
well in a terminal of 40 columns: paragraphs, `- ` lists, and blocks between fences, which stay as they are.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# The sections in their order: what the run showed, what the attack is, what to do, and the closing card.
SECTIONS = ("look", "break", "change", "card")
# Columns that text takes at most: longer lines read badly.
WIDEST = 78
NARROWEST = 20


class StoryError(ValueError):
    """A story.md that lacks something; the text says what."""


@dataclass(frozen=True)
class Story:
    """The introduction, and the sections by their names."""

    title: str
    introduction: str
    sections: Mapping[str, str]


def read_story(text: str) -> Story:
    """The story in a text. Raises StoryError."""
    parts = re.split(r"^## +(.*?) *$", text, flags=re.M)
    title = re.match(r"\s*# +(.+)\n", parts[0])
    if title is None:
        raise StoryError('it begins with no heading: write "# TITLE" on its first line')
    sections = {name.lower(): body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
    missing = [name for name in SECTIONS if not sections.get(name)]
    unknown = [name for name in sections if name not in SECTIONS]
    if missing or unknown:
        wrong = f'the section "## {missing[0].capitalize()}"' if missing else f'no section "{unknown[0]}"'
        raise StoryError(f"it {'lacks' if missing else 'has'} {wrong}: sections are {', '.join(SECTIONS)}")
    return Story(title[1].strip(), parts[0][title.end() :].strip(), sections)


def laid_out(text: str, columns: int) -> list[str]:
    """The lines of a text for a terminal of so many columns."""
    width = max(NARROWEST, min(WIDEST, columns - 1))
    lines: list[str] = []
    in_list = False
    for block in _blocks(text):
        item = block[0].startswith("- ")
        if lines and not (item and in_list):
            lines.append("")
        lines += _lines(block, width)
        in_list = item
    return lines


def _blocks(text: str) -> Iterator[list[str]]:
    """Paragraphs, items of lists, and fenced blocks with their fences, each as its lines."""
    block: list[str] = []
    fenced = False
    for line in text.splitlines():
        opens = line.startswith("```")
        new = not line.strip() or (opens and not fenced) or line.startswith("- ")
        if new and not fenced:
            if block:
                yield block
            block = []
        if line.strip() or fenced:
            block.append(line)
        if opens and fenced:
            yield block
            block = []
        fenced ^= opens
    if block:
        yield block


def _lines(block: list[str], width: int) -> list[str]:
    if block[0].startswith("```"):
        return [f"    {line}" for line in block[1:] if not line.startswith("```")]
    indent = "  " if block[0].startswith("- ") else ""
    return wrapped(" ".join(line.strip() for line in block), width, indent)


def wrapped(text: str, width: int, indent: str = "", first: str = "") -> list[str]:
    """A paragraph in lines of a width; all but the first are indented, and that begins with `first`."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
