"""How attacks are run: in worlds, and where they work.

A program of inside/ is run once a place and account, all its attacks one after another; each test then looks
at one of them. Places:

- `in_world`: a world of the profile python with /attacks (this folder's inside/ and what gcc made of it),
  /tmp in memory and what a test's table adds;
- `in_namespaces`: root of namespaces of its own (unshare(1)), with the account's rights beneath: what stops
  an attack there is not there;
- `outside`: as the account, with no wall at all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from accounts import Account
from attack import Attack
from worlds import Worlds

INSIDE = Path(__file__).with_name("inside")
Outcomes = dict[str, str]
_Found = TypeVar("_Found")
# Programs whose attacks touch nothing but what their test made.
CHANGES_NOTHING = {"gateways", "hostsockets", "paths", "writes", "openings", "processes", "storms"}
# Everything that a container has of its own, and /proc of its own processes. unshare(1)
OWN_NAMESPACES = (
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--uts",
    "--ipc",
    "--net",
    "--cgroup",
    "--mount-proc",
)


@contextmanager
def programs() -> Iterator[Path]:
    """A folder with all programs, which every account may read: the Python ones, and the C ones compiled."""
    folder = Path(tempfile.mkdtemp(prefix="libos-attacks-"))
    try:
        folder.chmod(0o755)
        for path in INSIDE.glob("*.py"):
            shutil.copy(path, folder)
        (folder / "compiled").mkdir()
        for path in INSIDE.glob("*.c"):
            subprocess.run(["gcc", "-O1", "-o", folder / "compiled" / path.stem, path], check=True)
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass
class Field:
    """Where one account's attacks are run. `setting` is what the programs are told."""

    account: Account
    worlds: Worlds
    programs: Path
    _seen: dict[str, Outcomes] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)

    def once(self, key: str, found: Callable[[], _Found]) -> _Found:
        """What `found` gives, called once for this account."""
        if key not in self._kept:
            self._kept[key] = found()
        kept: _Found = self._kept[key]
        return kept

    def in_world(
        self, program: str, setting: Mapping[str, Any] | None = None, key: str = "", **options: Any
    ) -> Outcomes:
        """What all attacks of a program gave in a world. Run once; later calls give the same."""
        key = f"world {key or program}"
        if key not in self._seen:
            mounts = [f"{self.programs}:/attacks", *options.pop("mounts", [])]
            if options.get("manifest") is None:
                options["include"] = ["python"]
            done = self.worlds.run(
                *("python3", f"/attacks/{program}.py"),
                mounts=mounts,
                environment=[f"SETTING={json.dumps(setting or {})}"],
                **options,
            )
            self._seen[key] = json.loads(done.out)
        return self._seen[key]

    def in_namespaces(self, program: str, setting: Mapping[str, Any] | None = None) -> Outcomes:
        """What they gave root of namespaces of its own, each attack with mounts and a network to itself."""
        own = list(OWN_NAMESPACES)
        if self.account.uid != 0:
            own[1:1] = ["--user", "--map-root-user"]
        return self._outside(f"namespaces {program}", program, setting, own, {"OWN_NAMESPACES": "1"})

    def outside(self, program: str, setting: Mapping[str, Any] | None = None, *names: str) -> Outcomes:
        """What they (or those of these names) gave the account itself, with no wall at all: for programs that
        change nothing there."""
        assert program in CHANGES_NOTHING, "what changes the machine is shown in namespaces alone"
        return self._outside(f"outside {program} {names}", program, setting, [], {}, names)

    def _outside(
        self,
        key: str,
        program: str,
        setting: Mapping[str, Any] | None,
        before: list[str],
        more: dict[str, str],
        names: Iterable[str] = (),
    ) -> Outcomes:
        if key not in self._seen:
            told = {"SETTING": json.dumps(setting or {}), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | more
            argv = [*before, "python3", f"{self.programs}/{program}.py", *names]
            done = self.account.run(argv, env=self.account.environment | told, cwd="/")
            assert done.returncode == 0, done.stderr
            self._seen[key] = json.loads(done.stdout)
        return self._seen[key]


def judge(attack: Attack, live: str, held: str, uid: int) -> None:
    """The attack was stopped in the world as its table says; and it works where it should."""
    assert attack.held(held), f"in the world: {held}"
    if attack.root and uid != 0:
        return  # its twin, which runs as root, shows that it works
    if live.partition(":")[0] in attack.absent:
        pytest.skip(f"this kernel has no such thing to attack: {attack.name} ({live})")
    assert live.startswith("got"), f"where it should work: {live}"
