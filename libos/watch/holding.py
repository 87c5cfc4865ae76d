"""What a world holds, as items: files as a tree with counters, the network, limits. Pure.

Rules: a directory on the way to a grant is open, what was used below a grant is folded. A grant whose every
use is told and that has none is marked; where use is not told, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from libos.seen.amounts import amount
from libos.seen.grants import GrantSeen
from libos.seen.seen import Limit, Seen
from libos.seen.tree import ABSENT, TreeNode
from libos.watch.items import Item, Mark, short, times

NEVER = "never used"
_ENDED = {"revoke": "revoked", "drop": "dropped"}


class Holding:
    """The items of one drawing; it reads the state as it is now. `now` has what limits measure, by key."""

    def __init__(self, seen: Seen, now: dict[str, str] | None = None) -> None:
        self._seen = seen
        self._now = now or {}
        self._standing = _standing(seen)

    def items(self) -> Iterator[Item]:
        """The sections that have something in them."""
        files = [each for each in self._seen.grants if each.kind == "mount"]
        network = [each for each in self._seen.grants if each.kind != "mount"]
        if files:
            yield _section("files", self._told(files, "mount"), lambda: self._below(self._seen.tree.root))
        if network:
            yield _section("network", self._told(network, "grant"), lambda: map(self._grant, network))
        if self._seen.limits:
            limits = self._seen.limits.values()
            yield _section("limits", "", lambda: map(self._limit, limits))

    def _told(self, grants: list[GrantSeen], word: str) -> str:
        held = [each for each in grants if not each.ended]
        unused = sum(self._is_unused(each) for each in held)
        told = f"{len(held)} {word}{'' if len(held) == 1 else 's'}"
        return f"{told}, {unused} {NEVER}" if unused else told

    def _is_unused(self, grant: GrantSeen) -> bool:
        return not grant.used and not grant.ended and self._seen.is_known(grant)

    # --- files

    def _below(self, node: TreeNode) -> Iterator[Item]:
        for name in sorted(node.children):
            inner = node.children[name]
            if not self._is_shown(inner):
                continue
            while (only := self._only_way(inner)) is not None:
                inner, name = only, f"{name}/{only.name}"
            yield self._node(inner, name)

    def _is_shown(self, node: TreeNode) -> bool:
        return node in self._standing or bool(node.sums.keys() - {ABSENT})

    def _only_way(self, node: TreeNode) -> TreeNode | None:
        """What stands below where nothing else does and nothing was done with the node itself."""
        if node.grant is not None or node.own.keys() - {ABSENT}:
            return None
        below = [each for each in node.children.values() if self._is_shown(each)]
        return below[0] if len(below) == 1 else None

    def _node(self, node: TreeNode, name: str) -> Item:
        grant = None if node.grant is None else self._seen.grants[node.grant]
        folds = any(self._is_shown(each) for each in node.children.values())
        opened = any(each in self._standing for each in node.children.values())
        is_top = node.path == f"/{name}"
        text = f"{'/' if is_top else ''}{short(name)}{'/' if folds else ''}"
        item = Item(("files", node.path), text, "", "faint", node, folds, opened, lambda: self._below(node))
        if grant is None:
            used = sum(count for of, count in node.sums.items() if of != ABSENT)
            return replace(item, tail=times(used), mark="plain") if used else item
        of = self._grant(grant)
        mode = "" if grant.mode in ("", "read-only") else f"  {short(grant.mode)}"
        return replace(item, text=text + mode, tail=of.tail, mark=of.mark, subject=grant)

    # --- one grant, one limit

    def _grant(self, grant: GrantSeen) -> Item:
        key = ("grant", str(grant.number))
        named = f"port {grant.at.rpartition('!')[2]}  {grant.what}" if grant.kind == "listen" else grant.at
        if grant.ended:
            return Item(key, short(named), _ENDED.get(grant.ended, "ended"), "faint", grant)
        tail = times(grant.used) if grant.used else ""
        if self._is_unused(grant):
            return Item(key, short(named), NEVER, "unused", grant)
        if grant.refused:
            tail = f"{tail} refused {times(grant.refused)}".lstrip()
        return Item(key, short(named), tail, "plain", grant)

    def _limit(self, limit: Limit) -> Item:
        now = self._now.get(limit.key, "")
        peak = (self._seen.exit.used if self._seen.exit else {}).get(limit.key)
        shown = now or ("" if peak is None else f"peak {amount(limit.key, peak)}")
        hits = f"hit {times(limit.hits)}" if limit.hits else ""
        tail = "  ".join(each for each in (shown, hits) if each)
        mark: Mark = "refused" if limit.hits else "plain"
        asked = f"  {short(limit.asked)}" if limit.asked else ""
        return Item(("limit", limit.key), f"{short(limit.key)}{asked}", tail, mark, limit)


def _section(name: str, tail: str, below: Callable[[], Iterable[Item]]) -> Item:
    return Item(("section", name), name, tail, "head", None, True, True, below)


def _standing(seen: Seen) -> set[TreeNode]:
    """The nodes at which grants of files stand, and those on the way to them."""
    found: set[TreeNode] = set()
    for grant in seen.grants:
        if grant.kind != "mount":
            continue
        node = seen.tree.find(grant.at)
        while node is not None and node not in found:
            found.add(node)
            node = node.parent
    return found
