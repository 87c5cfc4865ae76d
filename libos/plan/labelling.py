"""What labels make of a manifest: each grant is decided once, before the app starts. Pure.

Rules:
- Of a host directory that has no label the label is the lowest: it may be read from everywhere, and written
  at the lowest level alone. What is made for this world (memory, texts, copies) is at the app's own level.
- A mount whose label is not the app's own gets the layer that refuses; one that is, the layer that tells.
- What leads outside carries both ways, a file server's tree too, since it hears of each use: a dial, a
  service, a file server or a published port is there where its label is the app's own, and left out where it
  is not.
- One file of the host under two labels would be a way between them: an error, unless the one mount stands in
  the world exactly where the other one would show the same.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from libos.errors import ManifestError
from libos.labels import Label, Lattice, ordered
from libos.manifest.problems import Problem, at_origin
from libos.namespace import (
    Audited,
    HostSource,
    Labelled,
    Mode,
    Mount,
    NodeSource,
    P9Source,
    ServiceSource,
    Typed,
    is_at_or_below,
)
from libos.plan.model import Line, Plan

if TYPE_CHECKING:
    from libos.manifest.model import Dial, Listen, Manifest
    from libos.plan.hostview import HostView

    Outward = TypeVar("Outward", Dial, Listen)


# What hears of each use, even one that only reads.
OUTWARD = (ServiceSource, P9Source)


@dataclass(frozen=True)
class Refused:
    """A way outside that is left out: how it would be used, what it is, its label, the rule against it."""

    operation: str
    what: str
    label: str
    rule: str
    origin: str

    @property
    def line(self) -> Line:
        """The line of `libos explain`."""
        return Line(self.what, f"{self.operation}, {self.label}", "refused", self.rule, self.origin)


@dataclass(frozen=True)
class Labelling:
    """The labels that there are, and the one at which the app runs. `refused` is what it does not get."""

    lattice: Lattice
    level: Label
    clearance: Label
    refused: tuple[Refused, ...] = field(default=(), compare=False)

    def applied(self, manifest: Manifest, lines: list[Line]) -> Manifest:
        """The manifest with its mounts' layers decided, and without what is refused; `lines` tell of both."""
        told = f"clearance {self.clearance}; no read up, no write down"
        lines.append(Line("labels", f"level {self.level}", "supervisor", told, manifest.labels.origin))
        lines.extend(each.line for each in self.refused)
        gone = {(each.operation, each.what, each.origin) for each in self.refused}

        def left(operation: str, what: str, origin: str) -> bool:
            return (operation, what, origin) not in gone

        return replace(
            manifest,
            mounts=tuple(self.mount(m) for m in manifest.mounts if left("service", m.at, m.origin)),
            dials=tuple(each for each in manifest.dials if left("dial", each.to, each.origin)),
            listens=tuple(each for each in manifest.listens if left("listen", each.name, each.origin)),
        )

    def mount(self, mount: Mount) -> Mount:
        """A mount with what its label lets the app do. ValueError for an unknown label."""
        found = label_of(mount)
        if isinstance(mount.source, OUTWARD):
            return replace(mount, layers=tuple(e for e in mount.layers if not isinstance(e, Labelled)))
        if found is None and (not _stays(mount) or self.level == self.lattice.lowest):
            return mount
        label = self.label(found)
        decided = Labelled(
            str(label),
            str(self.level),
            reads=self.lattice.dominates(self.level, label),
            writes=self.lattice.dominates(label, self.level),
        )
        under = tuple(each for each in mount.layers if not isinstance(each, Labelled | Typed | Audited))
        above = tuple(each for each in mount.layers if isinstance(each, Typed | Audited))
        return replace(mount, layers=(*under, decided, *above))

    def label(self, text: str | None) -> Label:
        """The label that a text says, the lowest for None. ValueError."""
        return self.lattice.lowest if text is None else self.lattice.label(text)

    def broken_by(self, text: str | None) -> str:
        """The rule that a way outside of this label breaks, or "". ValueError."""
        return self.lattice.broken(self.level, self.label(text), reads=True, writes=True)

    def require(self, what: str, text: str | None) -> None:
        """Raise ValueError where a way outside may not be granted while the app runs."""
        if rule := self.broken_by(text):
            raise ValueError(
                f'"{what}" is {self.label(text)}, and the app runs at {self.level}: {rule}; '
                f"give it that label, or start the app at another level"
            )


def labelling_of(manifest: Manifest, host: HostView, problems: list[Problem]) -> Labelling | None:
    """What labels make of a manifest; None where it has none. What is wrong is added to `problems`."""
    place = manifest.labels.origin or manifest.source or "manifest"
    if not manifest.labels.levels:
        problems.extend(_unexpected(manifest, place))
        return None
    try:
        lattice = Lattice(ordered(manifest.labels.levels), frozenset(manifest.labels.categories))
        labelling = _at_level(manifest, lattice)
    except ValueError as wrong:
        problems.append(at_origin(place, str(wrong)))
        return None
    wrong_ones = list(_unknown(manifest, labelling))
    problems.extend(wrong_ones or _aliases(manifest, labelling, host))
    return None if wrong_ones else replace(labelling, refused=tuple(_refused(manifest, labelling)))


def require_label(plan: Plan, what: str, text: str | None) -> None:
    """Raise ManifestError where the labels of a world do not let it have one more way outside."""
    if plan.labelling is None and text is None:
        return
    if plan.labelling is None:
        raise ManifestError(f'"{what}" has a label, and this world was started without any')
    try:
        plan.labelling.require(what, text)
    except ValueError as wrong:
        raise ManifestError(str(wrong)) from None


def refused_grants(plan: Plan) -> Iterator[dict[str, object]]:
    """The fields of a `label` event for each way outside that labels leave out."""
    if plan.labelling is not None:
        level = str(plan.labelling.level)
        for each in plan.labelling.refused:
            fields = {"operation": each.operation, "address": each.what, "label": each.label}
            yield {**fields, "level": level, "decision": "refused", "rule": each.rule}


def label_of(mount: Mount) -> str | None:
    """The label that a mount asks for."""
    return next((each.label for each in mount.layers if isinstance(each, Labelled)), None)


def _stays(mount: Mount) -> bool:
    """Whether what the app writes there outlives it, or is seen by others."""
    lasting = isinstance(mount.source, HostSource | NodeSource)
    return lasting and mount.mode is Mode.READ_WRITE


def _at_level(manifest: Manifest, lattice: Lattice) -> Labelling:
    said, cleared = manifest.app.level, manifest.app.clearance
    asked = said or cleared
    level = lattice.label(asked) if asked else lattice.lowest
    clearance = lattice.label(cleared) if cleared else level
    if not lattice.dominates(clearance, level):
        raise ValueError(f"the app cannot run at {level}: its clearance is {clearance}")
    return Labelling(lattice, level, clearance)


def _labels(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Each label of a grant, and where it was written."""
    for mount in manifest.mounts:
        if (label := label_of(mount)) is not None:
            yield label, mount.origin or mount.at
    for dial in manifest.dials:
        if dial.label is not None:
            yield dial.label, dial.origin or dial.to
    for listen in manifest.listens:
        if listen.label is not None:
            yield listen.label, listen.origin or listen.name


def _unexpected(manifest: Manifest, place: str) -> Iterator[Problem]:
    """Labels of a manifest that declares none."""
    message = 'no labels are declared: write [labels] with its levels, as levels = ["public", "secret"]'
    if manifest.app.level is not None or manifest.app.clearance is not None:
        yield at_origin(place, message)
    for _, origin in _labels(manifest):
        yield at_origin(origin, message)


def _unknown(manifest: Manifest, labelling: Labelling) -> Iterator[Problem]:
    for label, origin in _labels(manifest):
        try:
            labelling.lattice.label(label)
        except ValueError as wrong:
            yield at_origin(origin, str(wrong))


def _refused(manifest: Manifest, labelling: Labelling) -> Iterator[Refused]:
    for mount in manifest.mounts:
        if isinstance(mount.source, OUTWARD):
            yield from _one(labelling, "service", mount.at, label_of(mount), mount.origin)
    for dial in manifest.dials:
        yield from _one(labelling, "dial", dial.to, dial.label, dial.origin)
    for listen in manifest.listens:
        yield from _one(labelling, "listen", listen.name, listen.label, listen.origin)


def _one(
    labelling: Labelling, operation: str, what: str, label: str | None, origin: str
) -> Iterator[Refused]:
    if rule := labelling.broken_by(label):
        yield Refused(operation, what, str(labelling.label(label)), rule, origin)


def _aliases(manifest: Manifest, labelling: Labelling, host: HostView) -> Iterator[Problem]:
    """Pairs of mounts that show the same files of the host under two labels."""
    shown = [
        (mount, host.resolve(mount.source.path) or mount.source.path, labelling.label(label_of(mount)))
        for mount in manifest.mounts
        if isinstance(mount.source, HostSource)
    ]
    for mount, path, label in shown:
        for other, inner, second in shown:
            if other is mount or label == second or not is_at_or_below(inner, path):
                continue
            there = posixpath.normpath(posixpath.join(mount.at, posixpath.relpath(inner, path)))
            if there != other.at or manifest.app.control:
                message = (
                    f'"{inner}" is {second} here, and {label} in "{mount.at}" ({mount.origin}): '
                    "one file cannot have two labels; mount them apart"
                )
                yield at_origin(other.origin or other.at, message)
