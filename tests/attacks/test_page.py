"""The tables of the attacks and their page say the same, and name what there is."""

from __future__ import annotations

import ast

import page
import pytest


def test_the_page_is_what_the_tables_say() -> None:
    assert page.PAGE.read_text() == page.text(), "run: python tests/attacks/page.py"


def test_every_test_file_is_on_the_page() -> None:
    files = {path.stem for path in page.HERE.glob("test_*.py")} - {"test_page"}
    assert files == {*page.SECTIONS, *page.LISTED}
    assert all(hasattr(page.module(name), "ATTACKS") for name in page.SECTIONS)


@pytest.mark.parametrize("name", page.SECTIONS)
def test_every_table_names_a_test_that_is_there(name: str) -> None:
    module = page.module(name)
    assert all(callable(getattr(module, test, None)) for test in module.ATTACKS)


@pytest.mark.parametrize("name", page.SECTIONS)
def test_no_attack_stands_in_a_table_twice(name: str) -> None:
    module = page.module(name)
    named = [attack.name for attacks in module.ATTACKS.values() for attack in attacks if attack.name]
    assert len(named) == len(set(named))


def test_every_attack_of_a_program_stands_in_a_table() -> None:
    modules = [page.module(name) for name in page.SECTIONS]
    tables = {attack.name for each in modules for attacks in each.ATTACKS.values() for attack in attacks}
    used = "".join((page.HERE / f"{name}.py").read_text() for name in page.SECTIONS)
    programs = [path for path in (page.HERE / "inside").glob("*.py") if f'"{path.stem}"' in used]
    assert len(programs) >= 9
    for path in programs:
        made = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert {name for name in made if not name.startswith("_")} <= tables, path.name
