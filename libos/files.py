"""Files that Python functions are, collected by decorators and mounted together.

    files = libos.Files()

    @files.text("/etc/motd")
    async def motd() -> str:
        return "hello\\n"

    app = await supervisor.start(manifest, files=files)

Rules:
- A decorator gives its function back unchanged; what it makes is the node that `libos.fs` has for it, whose
  docstring is the contract.
- Each path is absolute, clean and taken once: ValueError, so that a mistake stands at the line that made it.
- The same nodes may be mounted in several worlds, at once or one after another.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from libos.fs import computed, synthetic
from libos.fs.control import Reply, control
from libos.fs.lines import LINE_MAX
from libos.fs.log import UNREAD_MAX, Log
from libos.fs.node import Node
from libos.fs.sink import sink
from libos.fs.stream import AHEAD, stream
from libos.namespace import is_clean

if TYPE_CHECKING:
    from libos.manifest import Manifest

Content = str | bytes
Texts = TypeVar("Texts", bound=Callable[..., Content | Awaitable[Content]])
Generates = TypeVar("Generates", bound=Callable[..., AsyncIterable[Content]])
Receives = TypeVar("Receives", bound=Callable[..., Any])
Answers = TypeVar("Answers", bound=Callable[..., Reply | Awaitable[Reply]])
Lists = TypeVar("Lists", bound=Callable[..., computed.Entries | Awaitable[computed.Entries]])


class Files:
    """What `Supervisor.start(…, files=…)` mounts besides its manifest."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def text(
        self, at: str, *, mode: int = 0o444, deadline: float | None = None, size: int | None = None
    ) -> Callable[[Texts], Texts]:
        """A file of what the function returns, str or bytes; see `libos.fs.synthetic.function`."""

        def decorate(produce: Texts) -> Texts:
            self.add(at, synthetic.function(produce, mode=mode, deadline=deadline, size=size))
            return produce

        return decorate

    def stream(
        self, at: str, *, mode: int = 0o444, ahead: int = AHEAD, deadline: float = math.inf
    ) -> Callable[[Generates], Generates]:
        """A file of what the async generator yields, as it comes; see `libos.fs.stream.stream`."""

        def decorate(generate: Generates) -> Generates:
            self.add(at, stream(generate, mode=mode, ahead=ahead, deadline=deadline))
            return generate

        return decorate

    def sink(
        self,
        at: str,
        *,
        by: Literal["write", "line", "close"] = "write",
        limit: int | None = None,
        mode: int = 0o222,
        deadline: float | None = None,
    ) -> Callable[[Receives], Receives]:
        """A file that hands what is written to the function; see `libos.fs.sink.sink`."""

        def decorate(receive: Receives) -> Receives:
            self.add(at, sink(receive, by=by, limit=limit, mode=mode, deadline=deadline))
            return receive

        return decorate

    def control(
        self, at: str, *, limit: int = LINE_MAX, mode: int = 0o666, deadline: float | None = None
    ) -> Callable[[Answers], Answers]:
        """A file of commands and replies; see `libos.fs.control.control`."""

        def decorate(answer: Answers) -> Answers:
            self.add(at, control(answer, limit=limit, mode=mode, deadline=deadline))
            return answer

        return decorate

    def directory(
        self,
        at: str,
        entry: Callable[..., computed.Entry | Awaitable[computed.Entry]] | None = None,
        *,
        mode: int = 0o555,
        deadline: float | None = None,
    ) -> Callable[[Lists], Lists]:
        """A directory of what the function gives; see `libos.fs.computed.directory`."""

        def decorate(entries: Lists) -> Lists:
            self.add(at, computed.directory(entries, entry, mode=mode, deadline=deadline))
            return entries

        return decorate

    def symlink(self, at: str, *, deadline: float | None = None) -> Callable[[Texts], Texts]:
        """A symbolic link to what the function returns; see `libos.fs.computed.link`."""

        def decorate(target: Texts) -> Texts:
            self.add(at, computed.link(target, deadline=deadline))
            return target

        return decorate

    def log(
        self,
        at: str,
        *,
        limit: int = UNREAD_MAX,
        full: Literal["wait", "drop"] = "wait",
        deadline: float | None = None,
    ) -> Log:
        """A file that programs append lines to, for `async for line in log`; see `libos.fs.log.Log`."""
        log = Log(limit=limit, full=full, deadline=deadline)
        self.add(at, log)
        return log

    def add(self, at: str, node: Node) -> None:
        """Any other node. ValueError for a path that is not absolute and clean, or taken."""
        if not is_clean(at) or at == "/" or "\0" in at:
            raise ValueError(f"a file's path is absolute, without //, ., .. and a last slash, not {at!r}")
        if at in self._nodes:
            raise ValueError(f"{at} is there already: give another path")
        if not isinstance(node, Node):
            raise TypeError(f"{at} is to be a node, not {type(node).__name__}")
        self._nodes[at] = node

    def mounts(self) -> list[dict[str, Any]]:
        """Entries for the `mount` list of a manifest that is a mapping."""
        return [{"at": at, "node": node, "mode": "read-write"} for at, node in self._nodes.items()]

    def laid_over(self, manifest: Manifest) -> Manifest:
        """The manifest with these files too. ManifestError where it mounts something else at one of them."""
        from libos.manifest import from_mapping
        from libos.manifest.conflicts import conflicts
        from libos.manifest.problems import error

        merged = from_mapping({"mount": self.mounts()}).over(manifest)
        problems = conflicts(merged)
        if problems:
            raise error(problems)
        return merged
