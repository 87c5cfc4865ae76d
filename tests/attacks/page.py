"""The reference page of the attacks, made of the tests: `python tests/attacks/page.py` writes it.

test_page.py fails where the page is not what the tables say, and where a table names a test that is none.
A test file without a table is listed by the names of its tests.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs/reference/attacks.md"
HEAD = """# The attacks

Programs that try to get out of a world, each run in a default world as root and as an ordinary user. Before
it counts that an attack is stopped, it is shown to work: at the place that the second column names. They are
in `tests/attacks/`, whose README says how one is made, and part of `make test`.

"Root" as a place means that only root can show it; as a user the attack is run in the world all the same.
What a kernel does not have cannot be shown to work there, and the suite's closing lines count that.

"""
# The files in the order of the page, with their headings.
SECTIONS = {
    "test_paths": "Files that are not granted",
    "test_writes": "Files that are granted to read, or as a copy",
    "test_building": "How a world is built and changed",
    "test_serving": "The file server",
    "test_calls": "The kernel: calls, young parts, sockets",
    "test_settings": "The kernel's files, and other processes",
    "test_neighbours": "Other worlds",
    "test_nesting": "Worlds below worlds",
    "test_ways_out": "The gate",
    "test_onlookers": "Who looks at a world from outside",
    "test_records": "What is recorded, shown and learned of a run",
}
# Files without a table.
LISTED = {
    "test_bombs": "Programs that take all they can get",
    "test_identity": "Who an app is",
    "test_root_inside": "A root inside",
    "test_second_wall": "The second wall, and the covered parts of /proc",
}


def module(name: str) -> ModuleType:
    """A test file, loaded for its tables."""
    spec = importlib.util.spec_from_file_location(f"page_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def sentences(name: str) -> list[str]:
    """The tests of a file without a table, as sentences."""
    source = (HERE / f"{name}.py").read_text()
    found = (line.partition("def test_")[2] for line in source.splitlines())
    return [line.partition("(")[0].replace("_", " ") for line in found if line]


def _table(name: str) -> list[str]:
    rows = []
    for attack in (attack for attacks in module(name).ATTACKS.values() for attack in attacks):
        gets = " or ".join(sorted(attack.answers)) if len(attack.answers) < 4 else ""
        rows.append(f"| {attack.what} | {attack.live} | {attack.wall}{f' ({gets})' if gets else ''} |\n")
    return rows


def text() -> str:
    """The whole page."""
    parts = [HEAD]
    count = 0
    for name, title in SECTIONS.items():
        rows = _table(name)
        count += len(rows)
        parts += [
            f"## {title}\n\n`tests/attacks/{name}.py`\n\n",
            "| attack | works | what stops it |\n|---|---|---|\n",
        ]
        parts += [*rows, "\n"]
    for name, title in LISTED.items():
        parts += [f"## {title}\n\n`tests/attacks/{name}.py`\n\n"]
        parts += [*(f"- {each}\n" for each in sentences(name)), "\n"]
    parts.append(f"The tables have {count} attacks. {LEFT}")
    return "".join(parts)


LEFT = """What is not stopped, since it is granted or harms the app alone, stands in
[SECURITY.md](../../SECURITY.md), "Limits first".
"""

if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "system")]
    PAGE.write_text(text())
