"""The fenced blocks of the documents, and how each is checked.

Rules:
- Every block in a language that can be checked is checked; none is passed over in silence.
- A block may say how in an HTML comment on the line above it:
      <!-- check: parses; REASON -->           its syntax alone: it needs a terminal, say
      <!-- check: by tests/FILE.py::NAME -->   that test, which must exist, runs the same thing
      <!-- check: status N -->                 (shell) it ends with this exit status
      <!-- check: file NAME -->                (TOML) later blocks find it as this file
  Otherwise shell and Python blocks are run, TOML blocks are loaded as manifests, and console blocks are run
  and their output is compared, where `...` stands for anything.
- Blocks run in a fresh copy of the repository's files, so they may write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parent.parent
# Languages whose blocks are checked. Others (text, json, none) show output or a picture.
CHECKED = {"sh", "shell", "bash", "console", "python", "toml", "json"}
_FENCE = re.compile(r"^```(\w*)\s*$")
_MARKER = re.compile(r"^<!--\s*check:\s*(.*?)\s*-->\s*$")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language, its text, and the marker above it ("" where none)."""

    document: str
    line: int
    language: str
    text: str
    marker: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """README and its sisters, and everything below docs/ and examples/."""
    found = [*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), *TOP.glob("examples/**/*.md")]
    return sorted(path for path in found if path.name != "CHANGELOG.md")


def blocks(path: Path) -> Iterator[Block]:
    """The document's fenced blocks. Raises ValueError for one that does not end or that names no language."""
    name = str(path.relative_to(TOP))
    lines = path.read_text().splitlines()
    start, language, marker = 0, "", ""
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if not fence:
            continue
        if start:
            yield Block(name, start, language, "\n".join(lines[start : number - 1]) + "\n", marker)
            start = 0
            continue
        start, language = number, fence[1]
        if not language:
            raise ValueError(f"{name}:{number}: a block without a language; say `text` where it is just text")
        above = _MARKER.match(lines[number - 2]) if number > 1 else None
        marker = above[1] if above else ""
    if start:
        raise ValueError(f"{name}:{start}: a block that does not end")


def console_steps(text: str) -> list[tuple[str, str]]:
    """A console block as (command, expected output); a command goes on after a backslash or a `> ` line."""
    steps: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        command, output = steps[-1] if steps else ("", "")
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif line.startswith("> ") and not output:
            steps[-1] = (command + line[2:], "")
        elif steps:
            steps[-1] = (command, output + line)
    return steps


def matches(expected: str, got: str) -> bool:
    """Whether output is what a document shows; `...` is anything, spaces at line ends do not count."""
    pattern = ".*".join(re.escape(part) for part in _stripped(expected).split("..."))
    return re.fullmatch(pattern, _stripped(got), re.DOTALL) is not None


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
