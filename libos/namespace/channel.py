"""A channel as a value, and as words: what may pass through one file, in which order, and how much of it.

    mount -c '#channel' OLD 'gets=N get_size=N puts=N put_size=N [get=random] [put=random] [fd=NAME] …'

`host=PATH` is the last word, since a path may hold blanks. The names are those of the keys of a manifest, and
`any` is no limit. ZeroVM's manifest has the same four limits, and a type of 0 to 3 for the two orders.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from libos.namespace.errors import GrammarError

_LIMITS = ("gets", "get_size", "puts", "put_size")
_HOST = "host="
_ANY = "any"  # no limit


@dataclass(frozen=True)
class ChannelSource:
    """A file that is opened before the program starts, and whose every use is counted.

    At most `gets` reads give `get_size` bytes, at most `puts` writes take `put_size`; 0 is none. What is not
    `random` passes in order, from the beginning, each byte once. `path` is a file of the host, absolute; None
    is a file in memory, which ends with the world. `descriptor` is its name where the first program has it
    open from its start.
    """

    path: str | None
    gets: int | None = 0
    get_size: int | None = 0
    puts: int | None = 0
    put_size: int | None = 0
    random_get: bool = False
    random_put: bool = False
    descriptor: str | None = None

    @property
    def gettable(self) -> bool:
        """Whether anything may be read."""
        return self.gets != 0

    @property
    def puttable(self) -> bool:
        """Whether anything may be written."""
        return self.puts != 0

    def words(self) -> str:
        """The same as words; `channel_of` reads them."""
        limits = ((name, getattr(self, name)) for name in _LIMITS)
        said = [f"{name}={_ANY if limit is None else limit}" for name, limit in limits]
        said += [f"{name}=random" for name in ("get", "put") if getattr(self, f"random_{name}")]
        said += [] if self.descriptor is None else [f"fd={self.descriptor}"]
        return " ".join([*said, *([] if self.path is None else [_HOST + self.path])])


def channel_of(words: str) -> ChannelSource:
    """The channel that words say. GrammarError."""
    said, host, path = words.partition(_HOST)
    limits: dict[str, int | None] = {}
    descriptor: str | None = None
    random: set[str] = set()
    for word in said.split():
        name, _, value = word.partition("=")
        if name in _LIMITS and name not in limits and _is_limit(value):
            limits[name] = None if value == _ANY else int(value)
        elif name == "fd" and value.isidentifier() and value.isascii():
            descriptor = value
        elif name in ("get", "put") and value == "random":
            random.add(name)
        else:
            raise GrammarError(f'"{word}" says nothing of a channel: write gets=N, get_size=N, get=random …')
    if host and not (path.startswith("/") and "\0" not in path):
        raise GrammarError(f'"{path}" is no absolute path of the host')
    return ChannelSource(
        path="/" + posixpath.normpath(path).lstrip("/") if host else None,
        random_get="get" in random,
        random_put="put" in random,
        descriptor=descriptor,
        **limits,
    )


def _is_limit(value: str) -> bool:
    return value == _ANY or (value.isascii() and value.isdigit())
