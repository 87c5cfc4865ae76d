"""Run the notebooks of a class: notebook.py [--write] FILE ...

Rules: each cell runs in a real kernel, in order; a cell that raises ends it with that cell's traceback. With
--write the outputs are put into the file; without, they are compared with those in it, and a difference is
an error. Numbers of execution and versions are no part of an output.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

# Notebooks, as nbformat has them, which has no types.
Notebook = Any
_read: Any = nbformat.read
_write: Any = nbformat.write
# Seconds for one cell.
CELL_SECONDS = 60


def executed(path: Path) -> Notebook:
    """The notebook with the outputs of now. Raises nbclient's CellExecutionError where a cell raises."""
    notebook = _read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def shown(notebook: Notebook) -> list[str]:
    """What each code cell prints."""
    return [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def main(words: list[str]) -> int:
    """Run what is named."""
    write, status = "--write" in words, 0
    for path in (Path(word) for word in words if word != "--write"):
        now = executed(path)
        if write:
            _write(now, path)
            continue
        for before, after in zip(shown(_read(path, as_version=4)), shown(now), strict=True):
            if before != after:
                sys.stderr.write(f"{path}: a cell printed\n{after}where the file has\n{before}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
