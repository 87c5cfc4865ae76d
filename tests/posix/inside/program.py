"""The program that asks: goes through the groups of cases named on its command line, in the current
directory, and prints {case: what came of it} as JSON. Standard library only: it runs inside worlds.

    python3 -I -S program.py fill NUMBER        makes directories for cases to find
    python3 -I -S program.py GROUP...
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import behaviour
import names
import stage

GROUPS = {"one_path": names.one_path, "two_paths": names.two_paths} | behaviour.GROUPS


def fill(number: int) -> None:
    """Makes directories as cases find them."""
    for index in range(number):
        os.mkdir(stage.PREMADE % index)
        os.chdir(stage.PREMADE % index)
        stage.fill()
        os.chdir("..")


def main(arguments: list[str]) -> None:
    """Prints what came of the groups."""
    os.umask(0o022)
    if arguments[0] == "fill":
        fill(int(arguments[1]))
    elif arguments[0] == "groups":
        json.dump(list(GROUPS), sys.stdout)
    else:
        json.dump(dict(pair for group in arguments for pair in GROUPS[group]()), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
