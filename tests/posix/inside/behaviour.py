"""What calls do beyond their errno, by groups: times, owners, content, space, mappings, locks, names.

A case is a function that yields what it saw, step by step, in a directory of its own. Nothing here depends on
how fast anything is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import content
import directories
import locks
import metadata

Case = Callable[[], Iterator[object]]


def group(cases: tuple[Case, ...]) -> Callable[[], Iterator[tuple[str, str]]]:
    """All cases of a group: each step is named by its case and number."""

    def run() -> Iterator[tuple[str, str]]:
        home = os.getcwd()
        for case in cases:
            os.mkdir(case.__name__)
            os.chdir(case.__name__)
            step = 0
            try:
                for step, seen in enumerate(case(), 1):
                    yield f"{case.__name__} {step}", str(seen)
            except OSError as error:
                yield f"{case.__name__} {step + 1}", f"ended by {error!r}"
            os.chdir(home)

    return run


GROUPS = {
    "metadata": group(metadata.CASES),
    "content": group(content.CASES),
    "locks": group(locks.CASES),
    "directories": group(directories.CASES),
}
