"""The house's rules that no linter holds: where packages are, who imports what, how large things may get."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
# The folders that hold the package's sources; libos/fs and libos/net are links to the first two.
SOURCES = ("fs", "net", "libos")
# Folders of data: programs in them run in worlds, and are no part of the package.
DATA = ("libos/tour/stops", "libos/tour/skeleton")
# Lines of a function, blank lines and docstring included: what a screen shows at once.
LONGEST_FUNCTION = 60
# Lines of a file. Most have 60 to 250; beyond this a file holds more than one concept.
LONGEST_FILE = 400


def python_files() -> Iterator[Path]:
    """The package's source files, each once."""
    for source in SOURCES:
        for folder, below, names in os.walk(TOP / source):
            below[:] = [name for name in below if not _is_data_or_link(Path(folder) / name)]
            yield from (Path(folder) / name for name in names if name.endswith(".py"))


def _is_data_or_link(folder: Path) -> bool:
    return folder.is_symlink() or folder.relative_to(TOP).as_posix() in DATA


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""


@pytest.mark.parametrize("name", ["fs", "net"])
def test_fs_and_net_stand_at_the_root_and_are_linked_into_the_package(name: str) -> None:
    link = TOP / "libos" / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../{name}"
    assert importlib.import_module(f"libos.{name}").__name__ == f"libos.{name}"


def test_every_package_is_named_in_pyproject() -> None:
    named = set(PROJECT["tool"]["setuptools"]["packages"])
    found = set()
    for path in python_files():
        dotted = path.parent.relative_to(TOP).as_posix().replace("/", ".")
        found.add(dotted if dotted.startswith("libos") else f"libos.{dotted}")
    assert named == found


def test_an_installation_has_every_file_of_the_packages() -> None:
    packaged = PROJECT["tool"]["setuptools"]
    has = {Path(each).resolve() for each in python_files()}
    for package, patterns in packaged["package-data"].items():
        folder = TOP / package.replace(".", "/")
        for pattern in patterns:  # as setuptools looks: a star matches no name that begins with a dot
            has.update(Path(each).resolve() for each in glob(str(folder / pattern), recursive=True))
    kept = subprocess.run(
        ["git", "ls-files", "-z", *SOURCES], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout
    files = {(TOP / each).resolve() for each in kept.split("\0") if each and not (TOP / each).is_dir()}
    assert files - has == set()


def test_nobody_imports_fs_or_net_by_their_folder() -> None:
    tops = {(path, name.partition(".")[0]) for path in python_files() for name in imported(path)}
    assert [path for path, top in tops if top in ("fs", "net")] == []


def test_kernel_and_keeper_need_nothing_but_the_standard_library() -> None:
    # The keeper starts as `python -I -S`: there are no other packages, and each import costs every start.
    ours = ("libos.kernel", "libos.keeper", "libos.errors")
    allowed = {"libos", *sys.stdlib_module_names}
    strangers = [
        f"{path.relative_to(TOP)}: {name}"
        for path in python_files()
        if path.parent.name in ("kernel", "keeper")
        for name in imported(path)
        if name.partition(".")[0] not in allowed or (name.startswith("libos.") and not name.startswith(ours))
    ]
    assert strangers == []


def test_functions_are_short_enough_to_see_whole() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {
        f"{path.relative_to(TOP)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, kinds)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_files_hold_one_concept() -> None:
    lengths = {str(path.relative_to(TOP)): len(path.read_text().splitlines()) for path in python_files()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_every_module_says_what_it_is() -> None:
    texts = {path: path.read_text() for path in python_files()}
    silent = [path for path, text in texts.items() if text and not ast.get_docstring(ast.parse(text))]
    assert silent == []


def test_importing_libos_imports_nothing_else_of_weight() -> None:
    program = "import sys, libos; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"trio", "pyfuse3", "pyroute2", "pydantic", "click", "rich", "dns", "anyio", "asyncio"}
    assert heavy & set(done.stdout.split()) == set()


def test_the_modules_of_fixtures_are_registered_for_who_imports_them_too() -> None:
    # Else such a test fails when its file is run alone, and passes behind another that has the same plugins.
    conftest = ast.parse((TOP / "tests/conftest.py").read_text())
    (registered,) = (
        {word.value for word in node.args if isinstance(word, ast.Constant)}
        for node in ast.walk(conftest)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.register_assert_rewrite"
    )
    assert registered == {name for path in (TOP / "tests").rglob("test_*.py") for name in plugins(path)}


def plugins(path: Path) -> Iterator[str]:
    """The `pytest_plugins` that a test names."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytest_plugins":
            yield from ast.literal_eval(node.value)
