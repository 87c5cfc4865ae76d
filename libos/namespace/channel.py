"""A channel as a value, and as words: what may pass through one file, in which order, and how much of it.

    mount -c '#channel' OLD 'gets=N get_size=N puts=N put_size=N [get=random] [put=random] [host=PATH]'

The names are those of the keys of a manifest; `host=` is the last, since a path may hold blanks. ZeroVM's
manifest has the same four limits, and a type of 0 to 3 for the two orders.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from libos.namespace.errors import GrammarError

_LIMITS = ("gets", "get_size", "puts", "put_size")
_HOST = "host="


@dataclass(frozen=True)
class ChannelSource:
    """A file that is opened before the program starts, and whose every use is counted.

    At most `gets` reads give `get_size` bytes, at most `puts` writes take `put_size`; 0 is none. What is not
    `random` passes in order, from the beginning, each byte once. `path` is a file of the host, absolute; None
    is a file in memory, which ends with the world.
    """

    path: str | None
    gets: int = 0
    get_size: int = 0
    puts: int = 0
    put_size: int = 0
    random_get: bool = False
    random_put: bool = False

    @property
    def puttable(self) -> bool:
        """Whether anything may be written."""
        return self.puts > 0

    def words(self) -> str:
        """The same as words; `channel_of` reads them."""
        said = [f"{name}={getattr(self, name)}" for name in _LIMITS]
        said += [f"{name}=random" for name in ("get", "put") if getattr(self, f"random_{name}")]
        return " ".join([*said, *([] if self.path is None else [_HOST + self.path])])


def channel_of(words: str) -> ChannelSource:
    """The channel that words say. GrammarError."""
    said, host, path = words.partition(_HOST)
    limits: dict[str, int] = {}
    random: set[str] = set()
    for word in said.split():
        name, _, value = word.partition("=")
        if name in _LIMITS and value.isascii() and value.isdigit() and name not in limits:
            limits[name] = int(value)
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
        **limits,
    )
