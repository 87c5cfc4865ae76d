"""What is learned of one run, as data: the parts of a manifest, each with the reason written beside it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libos.learning.folding import Grant, fold
from libos.learning.host import Host
from libos.learning.observed import Observed
from libos.learning.widening import within
from libos.listening import NOWHERE
from libos.manifest import from_mapping
from libos.namespace import MemorySource
from libos.syscalls import Wanted, tables
from libos.syscalls.resolving import resolve
from libos.why.remedies import is_text

# The base of every learned manifest: short tables of /etc, the library cache, an empty /tmp; none of the
# host's programs.
INCLUDE = ("base", "-/usr", "-/bin", "-/sbin", "-/lib", "-/lib64")
# Head room over a peak, and the least that is given: a run on another day does more.
ROOM = 2
LEAST = {"memory": 64 << 20, "processes": 32}
# The first port of those that the kernel gives to who names none: ip(7), ip_local_port_range.
EPHEMERAL = 32768


@dataclass(frozen=True)
class Command:
    """What was run, where and with which variables."""

    words: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]


@dataclass
class Learned:
    """A manifest to be written. `incomplete` says why the run may not have shown everything. `seconds`, which
    the run took, become no limit: they are the machine's and the network's more than the program's."""

    command: Command
    grants: list[Grant] = field(default_factory=list)
    dials: dict[str, str] = field(default_factory=dict)
    listens: dict[int, str] = field(default_factory=dict)  # the port, and where it is published, or "nowhere"
    allow: dict[str, str] = field(default_factory=dict)
    limits: dict[str, tuple[int, str]] = field(default_factory=dict)  # the limit, and why
    notes: list[str] = field(default_factory=list)
    incomplete: str | None = None
    seconds: float = 0.0


def learn(observed: Observed, command: Command, host: Host, given: Iterable[Grant] = ()) -> Learned:
    """Give what is learned. `given` are the mounts that the caller asked for."""
    given = tuple(given)
    home = command.environment.get("HOME", "/")
    shown, memory = _there(given)

    def covered(path: str) -> bool:
        return any(within(path, at) for at in shown)

    folded = fold(
        *(observed.uses, host),
        directory=command.directory,
        home=home,
        covered=covered,
        memory=memory,
        written=[grant.source or grant.at for grant in given if grant.mode == "read-write"],
    )
    named = [grant for grant in folded.grants if is_text(grant.at)]
    learned = Learned(command, [*given, *named], notes=folded.notes, seconds=observed.seconds)
    learned.notes += [
        f"{grant.at} is not granted, since its name is not UTF-8 and a manifest is: mount what holds it"
        for grant in folded.grants
        if not is_text(grant.at)
    ]
    learned.dials = {address: _times("connected to", count) for address, count in observed.dials.items()}
    learned.listens = {port: at for port, at in observed.listens.items() if at != NOWHERE or port < EPHEMERAL}
    learned.notes += [
        f"it listened at port {port}, where nobody outside reaches it: libos allow MANIFEST -p {port}"
        for port, at in learned.listens.items()
        if at == NOWHERE
    ]
    _learn_calls(observed, learned)
    for name, least in LEAST.items():
        if peak := observed.peaks.get(name):
            reached = f"{peak / (1 << 20):.0f}M" if name == "memory" else str(peak)
            learned.limits[name] = max(least, _round(peak * ROOM)), f"the peak was {reached}"
    learned.notes += [f"{to} was refused: grant it with --dial {to}" for to in observed.refused]
    if observed.beyond:
        learned.notes.append(f"{observed.beyond} uses of further paths were not recorded")
    return learned


def _times(what: str, count: int) -> str:
    return f"{what} {'once' if count == 1 else f'{count} times'}"


def _there(given: tuple[Grant, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the base and the caller's own mounts show, and what they have in memory."""
    shown = ["/etc/hosts", "/etc/resolv.conf", *(grant.at for grant in given)]
    memory: list[str] = []
    for mount in from_mapping({"include": list(INCLUDE)}).mounts:
        (memory if isinstance(mount.source, MemorySource) else shown).append(mount.at)
    return tuple(shown), tuple(memory)


def _learn_calls(observed: Observed, learned: Learned) -> None:
    """The groups that cover the calls beyond strict, as far as the default profile goes."""
    strict = {rule.call for rule in resolve(Wanted("strict")).allowed}
    whole = resolve(Wanted())
    usual = {rule.call for rule in whole.allowed}
    errors = {rule.call: rule.error for rule in whole.rules}
    groups = {call: group for group in tables.groups().values() for call in group.calls}
    for call in observed.calls:
        if call in strict:
            continue  # its arguments were refused, which no grant changes
        if call not in usual and errors.get(call) == "ENOSYS":
            continue  # programs fall back to what was there before it
        if call not in usual:
            learned.notes.append(f"the system call {call} is beyond the default profile, and is not granted")
            continue
        group = groups[call]
        name = f"@{group.name}" if usual.issuperset(group.calls) else call
        why = learned.allow.get(name)
        learned.allow[name] = f"{why}, {call}" if why else f"used: {call}"


def _round(number: int) -> int:
    """Up to two leading binary digits, as 96M or 128M."""
    step = 1 << max(0, number.bit_length() - 2)
    return -(-number // step) * step


def name_of(command: tuple[str, ...]) -> str:
    """The name of a program, for the file that is made of it."""
    return posixpath.basename(command[0]).partition(".")[0] or "app"
