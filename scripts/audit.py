"""Hold what libos runs with against what is locked, allowed and warned of. Needs no network.

Rules:
- What libos runs with are the packages that pyproject.toml names, its extras but for `dev` and `docs`
  included, and what those need in turn on this machine. Tools of tests and pages are not audited: they never
  run where libos does.
- Each is locked in requirements.lock, with hashes, and is installed in that version. UNLOCKED=1 lets other
  versions pass with a word: for who tries newer ones.
- Its licence is one of those that audit.toml allows, by what its own metadata says.
- No advisory of audit.toml concerns a version that is locked or installed, nor the least version that
  pyproject.toml asks for, unless it is harmless here.
- Whether an installed file is what the registry's hash stands for was seen by pip when it installed it
  (scripts/setup); it is not looked at again here.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

TOP = Path(__file__).resolve().parent.parent
# What metadata of before PEP 639 says (trove classifiers), as SPDX says it.
OLDER = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


@dataclass(frozen=True)
class Advisory:
    """What is known of versions of a package."""

    package: str
    name: str
    affected: str
    what: str
    harmless: str = ""

    def concerns(self, package: str, version: str) -> bool:
        return package == self.package and SpecifierSet(self.affected).contains(version, prereleases=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.what} ({self.package} {self.affected})"


@dataclass(frozen=True)
class Installed:
    """An installed package: its version, its licence in SPDX's words ("" where none is named), its needs."""

    version: str
    licence: str
    requires: tuple[Requirement, ...] = ()


@dataclass(frozen=True)
class Locked:
    """A line of the lock file."""

    version: str
    hashes: int


def read_lock(text: str) -> dict[str, Locked]:
    """What a requirements file locks, by canonical name. Raises ValueError for a line that locks nothing."""
    found = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        wanted, *hashes = line.split("--hash=")
        if not wanted.strip() or wanted.startswith("#"):
            continue
        requirement = Requirement(wanted)
        if not (pinned := re.fullmatch(r"==([^,*]+)", str(requirement.specifier))):
            raise ValueError(f"not one version: {wanted}")
        found[canonicalize_name(requirement.name)] = Locked(pinned[1], len(hashes))
    return {str(name): each for name, each in found.items()}


def declared(project: Mapping[str, Any]) -> list[Requirement]:
    """What pyproject.toml asks for, extras of the tests left out."""
    texts = list(project["project"]["dependencies"])
    for extra, more in project["project"].get("optional-dependencies", {}).items():
        texts += more if extra not in ("dev", "docs") else []
    return [Requirement(text) for text in texts]


def licence_of(found: metadata.PackageMetadata) -> str:
    """The licence that a package's metadata names, as an SPDX expression; "" where it names none."""
    if expression := found.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [text for text in found.get_all("Classifier", []) if text.startswith("License :: OSI")]
    said = [text.rpartition(" :: ")[2] for text in classifiers] or found.get_all("License", [])
    return " OR ".join(OLDER.get(text, text) for text in said)


def installed(name: str) -> Installed | None:
    """A package as it is installed, or None."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    requires = tuple(Requirement(text) for text in found.requires or ())
    return Installed(found.version, licence_of(found.metadata), requires)


def running_with(wanted: list[Requirement]) -> dict[str, Installed | None]:
    """The packages that these requirements need here, by canonical name, and how each is installed."""
    found: dict[str, Installed | None] = {}
    ahead = [(requirement, "") for requirement in wanted]
    seen = set()
    while ahead:
        requirement, asked_as = ahead.pop()
        name = str(canonicalize_name(requirement.name))
        key = (name, *sorted(requirement.extras))
        if key in seen or not (
            requirement.marker is None or requirement.marker.evaluate({"extra": asked_as})
        ):
            continue
        seen.add(key)
        found[name] = each = installed(name)
        extras = ("", *sorted(requirement.extras))
        ahead += [(needed, extra) for needed in (each.requires if each else ()) for extra in extras]
    return found


def allowed(licence: str, licences: list[str]) -> bool:
    """Whether one of the licences to choose from is allowed in all its parts; parentheses are not read."""
    choices = [choice.split(" AND ") for choice in licence.split(" OR ")]
    return any(all(part in licences for part in choice) for choice in choices)


def least(requirement: Requirement) -> str | None:
    """The least version that a requirement lets in."""
    bounds = [each.version for each in requirement.specifier if each.operator in (">=", "==", "~=")]
    return bounds[0] if bounds else None


@dataclass(frozen=True)
class Audit:
    """What is held against each other; where `unlocked`, a version that is not the locked one is no fault."""

    wanted: list[Requirement]
    lock: Mapping[str, Locked]
    running: Mapping[str, Installed | None]
    licences: list[str]
    advisories: list[Advisory]
    unlocked: bool = False

    def faults(self) -> Iterator[str]:
        """What is wrong, a sentence each."""
        for name, each in sorted(self.running.items()):
            yield from self._of_installed(name, each) if each else [f"{name} is not installed"]
        for name, pinned in sorted(self.lock.items()):
            if not pinned.hashes:
                yield f"{name} is locked without a hash"
            yield from _warned(self.advisories, name, pinned.version, "is locked")
        for requirement in self.wanted:
            yield from self._of_wanted(requirement)

    def _of_installed(self, name: str, each: Installed) -> Iterator[str]:
        if name not in self.lock:
            yield f"{name} is not locked: scripts/lock adds it"
        elif each.version != self.lock[name].version and not self.unlocked:
            yield f"{name} {each.version} is installed, and {self.lock[name].version} is locked"
        if not allowed(each.licence, self.licences):
            yield f"{name} has a licence that is not allowed: {each.licence or 'none that it names'}"
        yield from _warned(self.advisories, name, each.version, "is installed")

    def _of_wanted(self, requirement: Requirement) -> Iterator[str]:
        name = str(canonicalize_name(requirement.name))
        pinned = self.lock.get(name)
        if pinned and not requirement.specifier.contains(pinned.version, prereleases=True):
            yield f"{name} {pinned.version} is locked, and pyproject.toml wants {requirement.specifier}"
        if version := least(requirement):
            grave = [advisory for advisory in self.advisories if not advisory.harmless]
            yield from _warned(grave, name, version, "is the least that pyproject.toml asks for")


def _warned(advisories: list[Advisory], name: str, version: str, where: str) -> Iterator[str]:
    yield from (f"{name} {version} {where}: {each}" for each in advisories if each.concerns(name, version))


def audit(*, unlocked: bool) -> Audit:
    """Of this checkout, and of the Python that runs this."""
    wanted = declared(tomllib.loads((TOP / "pyproject.toml").read_text()))
    lock = read_lock((TOP / "requirements.lock").read_text())
    rules = tomllib.loads((TOP / "scripts/audit.toml").read_text())
    advisories = [Advisory(**each) for each in rules["advisory"]]
    return Audit(wanted, lock, running_with(wanted), rules["licences"], advisories, unlocked)


if __name__ == "__main__":
    faults = list(audit(unlocked=bool(os.environ.get("UNLOCKED"))).faults())
    if faults:
        remedy = "`rm -rf .venv; make check` installs what is locked, `scripts/lock` locks anew"
        sys.exit("\n".join([*faults, remedy]))
