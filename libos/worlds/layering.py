"""From layers as values to the layers of `libos.fs.layers`, with what a world gives them: events, questions,
and a place for totals. A layer's module is imported when one is asked for.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from libos import namespace as values

if TYPE_CHECKING:
    from libos.asking import Questions
    from libos.fs.layers import Layer, Stack
    from libos.fs.layers.asking import Ask
    from libos.fs.layers.counting import Counted
    from libos.fs.layers.layer import Call
    from libos.fs.node import Node
    from libos.plan.policy import Policy
    from libos.worlds.outside import Outside

Observe = Callable[[str, Mapping[str, object]], None]


class Layering:
    """The layers of one world."""

    def __init__(self, observe: Observe, questions: Questions, policy: Policy | None = None) -> None:
        self._observe = observe
        self._questions = questions
        self._counted: list[tuple[str, Counted]] = []
        self._policy = policy
        self.outside: Outside  # before a layer is laid that asks which program asks

    async def lay(self, node: Node, wanted: Iterable[values.Layer], at: str, *, always: bool = False) -> Node:
        """Give a node with these layers over it, for a mount at `at`; with `always` it gets a stack even
        where there are none, so that some can be laid later. Raises OSError where a layer cannot look at the
        tree."""
        made = [self.layer(each, at) for each in wanted if not isinstance(each, values.Vetted)]
        if not made and not always:
            return node
        from libos.fs.layers import layered, stack_of

        over = layered(node, *made, at=at.encode())
        stack = stack_of(over)
        assert stack is not None
        await stack.begin()
        return over

    async def add(self, stack: Stack, wanted: values.Layer, at: str) -> None:
        """Lay one more over a tree that is served. Errors as `lay`."""
        layer = self.layer(wanted, at)
        await stack.begin(layer)
        stack.add(layer)

    def layer(self, wanted: values.Layer, at: str) -> Layer:
        """Give the layer that a value stands for."""
        match wanted:
            case values.Hide(patterns):
                from libos.fs.layers.hiding import Hide

                return Hide(patterns)
            case values.Only(patterns):
                from libos.fs.layers.showing import Only

                return Only(patterns)
            case values.AppendOnly():
                from libos.fs.layers.appending import AppendOnly

                return AppendOnly()
            case values.Quota(size, files):
                from libos.fs.layers.quotas import Quota

                return Quota(size=size, files=files)
            case values.Counted():
                return self._count(wanted, at)
            case values.Labelled() | values.Typed() | values.Vetted():
                return self._deciding(wanted, at)
            case values.Audited():
                from libos.fs.layers.auditing import Audited

                return Audited(partial(self._tell, at))
            case values.Ask(timeout):
                return self._ask(timeout, at)
            case values.Faulty(seed, rate, errors, short, delay, patterns):
                from libos.fs.layers.faults import Faulty

                return Faulty(
                    seed=seed, rate=rate, errors=errors, short=short, delay=delay, patterns=patterns
                )

    def exec_refused(self, at: str, path: bytes, operation: str, reason: str) -> None:
        """Tell that what did not pass was to be executed, or read as a loader reads it."""
        fields = {"operation": operation, "path": _text(_below(at, path)), "reason": reason, **_who()}
        self._observe("exec.refused", fields)

    def counts(self) -> list[dict[str, int | str]]:
        """Give what passed through each counted mount."""
        return [{"at": at, **layer.totals()} for at, layer in self._counted]

    def _count(self, wanted: values.Counted, at: str) -> Counted:
        from libos.fs.layers.counting import Counted

        layer = Counted(
            reads=wanted.reads,
            bytes_read=wanted.bytes_read,
            writes=wanted.writes,
            bytes_written=wanted.bytes_written,
        )
        self._counted.append((at, layer))
        return layer

    def _ask(self, timeout: float, at: str) -> Ask:
        from libos.fs.layers.asking import Ask

        questions = self._questions
        return Ask(
            lambda question: questions.opened(_below(at, question.path), question),
            questions.closed,
            timeout=timeout,
        )

    def _deciding(self, wanted: values.Labelled | values.Typed | values.Vetted, at: str) -> Layer:
        assert not isinstance(wanted, values.Vetted), "what is vetted is the tree itself"
        if isinstance(wanted, values.Typed):
            return self._typed(wanted.type, at)
        from libos.fs.layers.labelling import Labelled

        tell = partial(self._tell_label, at, wanted.label, wanted.level)
        return Labelled(reads=wanted.reads, writes=wanted.writes, tell=tell)

    def _typed(self, kind: str, at: str) -> Layer:
        from libos.fs.layers.typed import Typed
        from libos.plan.policy import Policy
        from libos.worlds.domains import Domains

        domains = Domains(self._policy or Policy(), self._observe, self.outside)

        async def decide(call: Call, verbs: frozenset[str]) -> bool:
            return await domains.decide(kind, _text(_below(at, call.path)), call, verbs)

        return Typed(decide)

    def _tell_label(self, at: str, label: str, level: str, call: Call, rule: str) -> None:
        fields: dict[str, object] = {
            "operation": call.operation,
            "path": _text(_below(at, call.path)),
            "label": label,
            "level": level,
            "decision": "refused" if rule else "granted",
            **({"rule": rule} if rule else {}),
            **_who(),
        }
        if call.operation in ("rename", "link"):
            fields["other"] = _text(_below(at, call.to_path))
        self._observe("label", fields)

    def _tell(self, at: str, call: Call, error: int, size: int) -> None:
        fields: dict[str, object] = {
            "operation": call.operation,
            "path": _text(_below(at, call.path)),
            "error": errno.errorcode.get(error, str(error)) if error else None,
        }
        if call.operation in ("read", "write"):
            fields |= {"offset": call.offset, "size": size}
        if call.operation in ("rename", "link"):
            fields["other"] = _text(_below(at, call.to_path))
        self._observe("audit", fields)


def _who() -> dict[str, object]:
    """The program for which the file server answers now, by its number inside and its name."""
    from libos.fs.requests import asking
    from libos.programs import program

    found = program(asking())
    return {"pid": found.pid if found else None, "program": found.name if found else None}


def _below(at: str, path: bytes) -> bytes:
    """A path of a mounted tree, absolute in the world."""
    return at.encode() + b"/" + path if path else at.encode()


def _text(path: bytes) -> str:
    return path.decode(errors="surrogateescape")
