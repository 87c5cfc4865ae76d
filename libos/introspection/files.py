"""The nodes of /mnt/ns, one world's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from libos.fs import synthetic
from libos.introspection.denials import Denials
from libos.namespace import Namespace, WorldSource

if TYPE_CHECKING:
    from libos.dialing import Dials
    from libos.fs.node import Node
    from libos.grants import Grants
    from libos.notices import Notices
    from libos.plan import Plan


class Introspection:
    """What one world shows of itself. `granting` is set when its app starts; nothing can read before."""

    def __init__(self, plan: Plan, notices: Notices) -> None:
        self._plan = plan
        self._notices = notices
        self.denials = Denials()
        self.granting: Callable[[], Grants] | None = None
        self.dials: Dials | None = None
        self.limits: Callable[[], list[dict[str, object]]] = list

    def nodes(self) -> dict[str, Node]:
        """The node of each file that its plan has, by the name of its source."""
        sources = (each.source for each in self._plan.served)
        wanted = {source.name for source in sources if isinstance(source, WorldSource)}
        if not any(name.startswith("ns/") for name in wanted):
            return {}
        from libos.fs.stream import stream
        from libos.introspection.beancounters import beancounters
        from libos.introspection.control import control_file
        from libos.introspection.policy import policy_json, policy_text

        content: dict[str, Callable[[Grants], str]] = {
            "ns": lambda grants: Namespace(grants.mounts()).text(self._plan.directory),
            "policy": lambda grants: policy_text(self._plan, grants, tuple(self.dials or ())),
            "policy.json": lambda grants: policy_json(self._plan, grants, tuple(self.dials or ())),
            "beancounters": lambda _: beancounters(self.limits(), (each.live for each in self.dials or ())),
            "denials": lambda _: self.denials.text(),
            "denials.json": lambda _: self.denials.json(),
            "repossessed": lambda _: self._notices.repossessed(),
        }
        nodes = {f"ns/{name}": self._node(write) for name, write in content.items()}
        nodes["ns/notices"] = stream(self._notices.lines)
        return nodes | {"ns/ctl": control_file(self._grants, lambda: self.dials)}

    def _grants(self) -> Grants | None:
        return None if self.granting is None else self.granting()

    def _node(self, write: Callable[[Grants], str]) -> Node:
        async def content() -> str:
            grants = self._grants()
            return "" if grants is None else write(grants)

        return synthetic.function(content)
