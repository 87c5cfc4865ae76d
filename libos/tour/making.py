"""A new stop: a skeleton that is itself a good stop, to be changed a piece at a time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from libos.tour.collection import TourError

_SKELETON = Path(__file__).parent / "skeleton"


def new_stop(folder: Path) -> list[str]:
    """Make a stop in a folder that is not there yet, as a whole, and give its files. Raises TourError."""
    folder = Path(folder)
    made = folder.with_name(f".{folder.name}.new")
    if os.path.lexists(folder):
        raise TourError(f"{folder} is there already: name a folder that is not")
    if not made.parent.is_dir():
        raise TourError(f"{made.parent}: there is no such folder: make it, or name another one")
    try:
        shutil.copytree(_SKELETON, made)
        for path in [made, *made.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.rename(made, folder)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise TourError(f"{folder}: {error.strerror or error}") from error
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
