"""SECURITY.md proves what it promises: each row has all its parts, and each test that it names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
TEXT = (TOP / "SECURITY.md").read_text()
# A test's file, or one test of it as pytest names it.
PROOF = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
# The tables whose rows are promises, by their heading.
TABLES = ["What is promised", "The walls, from the program outwards"]


def rows(heading: str) -> Iterator[list[str]]:
    """The rows of the table below a heading, its cells stripped; head and rule are left out."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    yield from ([cell.strip() for cell in line.strip("|").split("|")] for line in table[2:])


def names_in(path: Path) -> set[str]:
    """The names of a file's tests, those with parameters once."""
    tree = ast.parse(path.read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


@pytest.mark.parametrize("heading", TABLES)
def test_every_row_has_what_holds_it_its_limits_and_its_proof(heading: str) -> None:
    found = list(rows(heading))
    assert len(found) > 5
    for row in found:
        assert len(row) == 4, row
        assert all(row), row
        assert PROOF.search(row[3]), f"no test is named: {row[0]}"


def test_every_test_that_is_named_exists() -> None:
    named = PROOF.findall(TEXT)
    assert len(named) > 30
    for file, test in named:
        assert (TOP / file).is_file(), file
        tests = names_in(TOP / file)
        assert tests, f"{file} has no test"
        assert not test or test in tests, f"{file} has no {test}"


def test_nothing_of_the_tests_is_named_in_a_way_that_is_not_looked_up() -> None:
    whole = {match.group(0) for match in PROOF.finditer(TEXT)}
    said = set(re.findall(r"`tests/[^`]*`", TEXT))
    assert said == whole
