"""What the checks of all systems have in common.

Rules:
- A system's `check.py` names its properties, and observes: it runs real programs and gives, for each
  property, the evidence as plain values. A predicate of the evidence alone judges it, and cannot know
  whether the property was taken away.
- `observe(supervisor, without)` takes one property away by changing what the program is given, in the way
  that the property names, and observes in the same manner. A check that then still holds proves nothing: it
  is at fault.
- A host that lacks a mechanism is told apart from a property that does not hold: MissingError.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import trio

import libos

HERE = Path(__file__).parent
# In the order of the talk; the README's table has the same.
ORDER = (
    # namespacing
    "chroot",
    "plan9",
    "jail",
    "zones",
    "openvz",
    "lxc",
    "warden",
    "lmctfy",
    "docker",
    # access control
    "keykos",
    "tcsec",
    "jvm",
    "capabilities",
    "selinux",
    "seccomp",
    "nacl",
    "capsicum",
    # library operating systems
    "exokernel",
    "mirage",
    "rump",
    "dune",
    "drawbridge",
    # new solutions
    "zerovm",
    "osv",
    "coreos",
)
# Seconds that observing once may take, on a machine that does other things too.
PATIENCE = 60

Evidence = Mapping[str, Any]
Observe = Callable[[libos.Supervisor, str | None], Awaitable[Evidence]]
Outcome = Literal["holds", "fails", "missing", "broken"]
# Stands for all properties of a system, where none could be judged.
ALL = "*"


class MissingError(Exception):
    """This host lacks what an example needs; the text says what, and what would give it."""


@dataclass(frozen=True)
class Property:
    """One claim: in a sentence, how it is taken away, and the predicate that judges the evidence for it."""

    says: str
    without: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Verdict:
    """What became of one property, observed with `without` taken away: the outcome, and what was seen.

    "broken" is a check that could not observe, for a reason that is not this host's.
    """

    system: str
    name: str
    without: str | None
    outcome: Outcome
    saw: Any

    @property
    def is_right(self) -> bool:
        """Whether it is as it must be: a property holds, and falls when it alone is taken away."""
        return self.outcome == ("fails" if self.name == self.without else "holds")


@dataclass(frozen=True)
class System:
    """One folder's check."""

    name: str
    title: str
    properties: Mapping[str, Property]
    observe: Observe

    async def check(self, ways: Iterable[str | None]) -> list[Verdict]:
        """Observe once for each of `ways`, a property that is taken away or None, and judge all."""
        ways = list(ways)
        try:
            async with libos.Supervisor() as supervisor:
                return [verdict for way in ways for verdict in await self._one_way(supervisor, way)]
        except libos.HostError as error:
            return [Verdict(self.name, ALL, way, "missing", str(error)) for way in ways]

    async def _one_way(self, supervisor: libos.Supervisor, without: str | None) -> list[Verdict]:
        try:
            with trio.fail_after(PATIENCE):
                seen = await self.observe(supervisor, without)
            return list(self._judged(seen, without))
        except MissingError as error:
            return [Verdict(self.name, ALL, without, "missing", str(error))]
        except Exception as error:
            return [Verdict(self.name, ALL, without, "broken", f"{type(error).__name__}: {error}")]

    def _judged(self, seen: Evidence, without: str | None) -> Iterator[Verdict]:
        if seen.keys() != self.properties.keys():
            raise AssertionError(f"it observes {sorted(seen)}, and claims {sorted(self.properties)}")
        for name, each in self.properties.items():
            outcome: Outcome = "holds" if each.holds(seen[name]) else "fails"
            yield Verdict(self.name, name, without, outcome, seen[name])


def load(name: str) -> System:
    """The check in the folder of this name."""
    module = _module(f"lineage_{name}", HERE / name / "check.py")
    return System(name, module.TITLE, module.PROPERTIES, module.observe)


def beside(check: str, name: str) -> Any:
    """The module at a path below the folder of a check, whose own path is `check`."""
    return _module(Path(name).name, Path(check).parent / f"{name}.py")


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where a dataclass of it looks up its annotations
    spec.loader.exec_module(module)
    return module


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of the host that programs in worlds may enter, and that goes with the block."""
    with tempfile.TemporaryDirectory(prefix="libos-lineage-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
