"""The notebooks for classes run from the first cell to the last, and print what they are shown with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from accounts import Account

TOP = Path(__file__).parent.parent
NOTEBOOKS = sorted((TOP / "docs").glob("**/*.ipynb"))

pytestmark = pytest.mark.system


@pytest.mark.soak_accounts("root")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_is_shown_with(as_user: Account, notebook: Path) -> None:
    copy = as_user.folder / notebook.name
    shutil.copy(notebook, copy)
    done = as_user.run([sys.executable, str(TOP / "scripts/notebook.py"), copy.name], timeout=150)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(180)
def test_a_notebook_that_prints_something_else_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "other.ipynb"
    text = NOTEBOOKS[0].read_text()
    assert text.count("Read-only file system") > 1
    copy.write_text(text.replace("/class/note: Read-only file system", "/class/note: Fine"))
    words = [sys.executable, str(TOP / "scripts/notebook.py"), str(copy)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
