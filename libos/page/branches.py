"""The drawn tree: which names of a world are shown, and what is said of each. Pure.

Rules: at most MOST names are shown: what is granted first, then what was absent or refused, then what was
used most; a name is shown with all names above it. What is not shown is counted at the nearest name that is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from libos.page.words import plural, shown
from libos.seen import Seen
from libos.seen.grants import GrantSeen
from libos.seen.tree import ABSENT, DENIED, TreeNode

# Names on a page: some 300 bytes of HTML each, and what a browser draws in a moment.
MOST = 2000
# Names right below a directory beyond which it is drawn closed: in a mount, and where nothing is mounted.
_CLOSED = 12
_CLOSED_ABOVE = 40
# Characters of a name by which it is sorted among its siblings.
_KEY = 120

_SAID = {
    "look": "looked at",
    "list": "listed",
    "follow": "followed",
    "change": "changed",
    "write": "written",
    "execute": "executed",
    "create": "created",
    "remove": "removed",
    ABSENT: "not there, looked for",
    DENIED: "refused",
}
# What the plan says of files that every world has, whatever its manifest asks for.
_WORLDS_OWN = "always"
_MARKS = {"absent": "✕", "denied": "⊘", "idle": "○", "used": "●", "": "·"}
_STATES = {
    "absent": "absent",
    "denied": "refused",
    "idle": "granted, never used",
    "used": "used",
    "": "not known to be used",
}


@dataclass(frozen=True)
class Branch:
    """One name as it is drawn. `state` is "absent", "denied", "idle", "used" or ""."""

    id: str
    key: str
    name: str
    state: str
    grant: str
    origin: str
    note: str
    is_branch: bool
    is_open: bool

    @property
    def mark(self) -> str:
        """The sign before the name: it says the state without colour."""
        return _MARKS[self.state]

    @property
    def said(self) -> str:
        """The state in words."""
        return _STATES[self.state]


class Branches:
    """The names of one world that are shown. It grows with the world; a name that is shown stays."""

    def __init__(self, seen: Seen, most: int = MOST) -> None:
        self._seen = seen
        self._most = most
        self._ids: dict[TreeNode, int] = {}
        self._below: Counter[TreeNode] = Counter()  # how many names right below one are shown
        for node in _chosen(seen.tree.root, most):
            self._show(node)

    def __contains__(self, node: TreeNode) -> bool:
        return node in self._ids

    @property
    def hidden(self) -> int:
        """How many names the page leaves out."""
        return self._seen.tree.size - len(self._ids)

    def appear(self, node: TreeNode) -> TreeNode:
        """Show this name, and those above it, as far as there is room; gives the nearest that is shown."""
        missing: list[TreeNode] = []
        above: TreeNode | None = node
        while above is not None and above not in self._ids:
            missing.append(above)
            above = above.parent
        for each in reversed(missing):
            if len(self._ids) >= self._most:
                break
            self._show(each)
            above = each
        assert above is not None  # the root is always shown
        return above

    def _show(self, node: TreeNode) -> None:
        self._ids[node] = len(self._ids)
        if node.parent is not None:
            self._below[node.parent] += 1

    def id(self, node: TreeNode) -> str:
        """The id of a name's element."""
        return f"t{self._ids[node]}"

    def children(self, node: TreeNode) -> list[TreeNode]:
        """The names below one that are shown, in order."""
        return sorted((each for each in node.children.values() if each in self._ids), key=_key)

    def branch(self, node: TreeNode) -> Branch:
        """Give what is said of one name."""
        grant = None if node.grant is None else self._seen.grants[node.grant]
        is_open = self._below[node] <= (_CLOSED if _is_mounted(node) else _CLOSED_ABOVE)
        return Branch(
            id=self.id(node),
            key=_key(node),
            name=shown(node.name) if node.parent else "/",
            state=self._state(node, grant),
            grant=said_of(grant) if grant else "",
            origin=shown(grant.origin) if grant else "",
            note=", ".join(self._notes(node, grant, is_open=is_open)),
            is_branch=self._below[node] > 0,
            is_open=is_open,
        )

    def _state(self, node: TreeNode, grant: GrantSeen | None) -> str:
        if node.is_absent:
            return "absent"
        if node.own[DENIED]:
            return "denied"
        if grant is not None and not grant.used and self._seen.is_known(grant):
            return "idle"
        return "used" if node.sums.keys() - {ABSENT, DENIED} or (grant and grant.used) else ""

    def _notes(self, node: TreeNode, grant: GrantSeen | None, *, is_open: bool) -> Iterator[str]:
        if grant is not None and grant.ended:
            yield {"revoke": "revoked", "drop": "given up"}.get(grant.ended, shown(grant.ended))
        for operation, count in sorted(node.own.items()):
            yield f"{_SAID.get(operation, operation)} {_times(count)}"
        if not is_open:
            below = sorted((node.sums - node.own).items())
            yield "below: " + ", ".join(
                f"{_SAID.get(operation, operation)} {_times(n)}" for operation, n in below
            )
        if hidden := len(node.children) - self._below[node]:
            yield f"{plural(hidden, 'more name')} below {'is' if hidden == 1 else 'are'} not shown"
        if node.beyond:
            yield f"{node.beyond:,} of them for names below"


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count:,} times"


def _key(node: TreeNode) -> str:
    return shown(node.name, _KEY)


def _is_mounted(node: TreeNode) -> bool:
    above: TreeNode | None = node
    while above is not None and above.grant is None:
        above = above.parent
    return above is not None


def said_of(grant: GrantSeen) -> str:
    """What is granted and how, in words."""
    what = "made for each world" if grant.what == _WORLDS_OWN else grant.what or grant.at
    return shown(what if not grant.mode or grant.mode in what else f"{what}, {grant.mode}")


def _chosen(root: TreeNode, most: int) -> Iterator[TreeNode]:
    """The names to show, parents before children, at most `most`."""
    ranked = sorted(root.walk(), key=_rank)
    chosen: dict[TreeNode, None] = {root: None}
    for node in ranked:
        missing: list[TreeNode] = []
        above: TreeNode | None = node
        while above is not None and above not in chosen:
            missing.append(above)
            above = above.parent
        if len(chosen) + len(missing) > most:
            break
        chosen.update(dict.fromkeys(reversed(missing)))
    return iter(chosen)


def _rank(node: TreeNode) -> tuple[int, int]:
    kind = 0 if node.grant is not None else 1 if node.own[DENIED] or node.is_absent else 2
    return kind, -node.sums.total()
