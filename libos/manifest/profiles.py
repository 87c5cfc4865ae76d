"""The profiles that come with libos: small manifests that others include by name.

They are trusted: the tests check each one in full, so reading one needs neither the checks nor the positions
that a user's file needs, and `libos run -- COMMAND` starts without the validation library.
"""

from __future__ import annotations

import os
import tomllib
from typing import Any

_DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "profiles")


def profile_names() -> list[str]:
    """The names that `include` takes, sorted."""
    return sorted(name[:-5] for name in os.listdir(_DIRECTORY) if name.endswith(".toml"))


def profile_path(name: str) -> str:
    """The file of a profile."""
    return os.path.join(_DIRECTORY, name + ".toml")


def read_profile(name: str) -> dict[str, Any]:
    """The raw values of a profile. FileNotFoundError when there is none of that name."""
    with open(profile_path(name), "rb") as file:
        return tomllib.load(file)
