"""The documents do what they say: every block is run or checked, every link leads somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from documents import CHECKED, TOP, Block, blocks, console_steps, documents, matches

# Seconds for one block.
BLOCK_TIMEOUT = 50

ALL = [block for path in documents() for block in blocks(path)]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository as git has it: a checkout of its own."""
    folder = tmp_path_factory.mktemp("docs") / "libos"
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = TOP / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink() or source.exists():
            shutil.copy2(source, target, follow_symlinks=False)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def copies(pristine: Path) -> dict[str, Path]:
    """The copies that were made so far, by document."""
    return {}


@pytest.fixture
def copy(block: Block, pristine: Path, copies: dict[str, Path]) -> Path:
    """A copy in which the blocks of one document may write, and meet what those before them wrote."""
    if block.document not in copies:
        folder = pristine.parent / f"copy{len(copies)}" / "libos"
        copies[block.document] = Path(shutil.copytree(pristine, folder, symlinks=True))
    return copies[block.document]


def run(command: list[str], folder: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a block: with the suite's programs first in PATH, both outputs in one."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_STATE_HOME": f"{folder}/.state"}  # what is kept goes too
    environment["XDG_CACHE_HOME"] = f"{folder}/.cache"
    command = ["sh", "-c", 'exec "$@" </dev/null', "sh", *command] if text is None else command
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BLOCK_TIMEOUT,
    )


def check_parses(block: Block) -> None:
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    else:
        text = (
            "".join(command for command, _ in console_steps(block.text))
            if block.language == "console"
            else block.text
        )
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def check_named_test(block: Block) -> None:
    file, _, name = block.marker.removeprefix("by ").partition("::")
    tree = ast.parse((TOP / file).read_text())
    defined = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in defined, f"{block}: there is no test {name} in {file}"


def check_console(block: Block, folder: Path) -> None:
    steps = console_steps(block.text)
    assert steps, f"{block}: no line begins with a dollar sign"
    for command, expected in steps:
        done = run(["bash", "-c", command], folder)
        assert matches(expected, done.stdout), f"{block}: {command}gave\n{done.stdout}"


def check_manifest(block: Block, folder: Path) -> None:
    """A TOML block is a manifest, or a part of one: the version may be left out there; or it is a stack."""
    import libos
    from libos.stack import load_stack

    text = block.text if re.search(r"^libos\s*=", block.text, re.MULTILINE) else f"libos = 1\n{block.text}"
    path = folder / (block.marker.removeprefix("file ") or "block.toml")
    path.write_text(text)
    load = load_stack if re.search(r"^\[\[world\]\]", text, re.MULTILINE) else libos.load
    load(path)


@pytest.mark.system
@pytest.mark.parametrize("block", [block for block in ALL if block.language in CHECKED], ids=str)
def test_block(block: Block, copy: Path) -> None:
    if block.marker.startswith("parses; "):
        check_parses(block)
    elif block.marker.startswith("by "):
        check_named_test(block)
    elif block.language == "console":
        check_console(block, copy)
    elif block.language == "toml":
        check_manifest(block, copy)
    elif block.language == "json":
        for line in block.text.splitlines():
            json.loads(line)
    else:
        command = [sys.executable, "-"] if block.language == "python" else ["bash", "-e"]
        done = run(command, copy, block.text)
        wanted = int(block.marker.removeprefix("status ")) if block.marker else 0
        assert done.returncode == wanted, f"{block}: exit status {done.returncode}\n{done.stdout}"


def test_every_marker_is_one_that_is_understood() -> None:
    known = re.compile(r"parses; \S.*|by tests/\S+\.py::\w+|status \d+|file \S+|")
    assert [f"{block}: {block.marker}" for block in ALL if not known.fullmatch(block.marker)] == []


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(TOP)))
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    missing = [t for t in targets if not re.match(r"[a-z]+:", t) and not (path.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("a\n...\nc\n", "a\nb\nb\nc\n", True),
        ("took ... ms", "took 12.5 ms  \n", True),
        ("a", "b", False),
        ("", "", True),
    ],
)
def test_matching_of_shown_output(expected: str, got: str, same: bool) -> None:
    assert matches(expected, got) is same
