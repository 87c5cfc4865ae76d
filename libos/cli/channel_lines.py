"""What passed through the channels of a world, for a person: a line for each way that was used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def channel_lines(fields: Mapping[str, Any]) -> Iterator[str]:
    """The lines, from the fields of the event `app.exit`."""
    for channel in fields.get("channels", ()):
        for way, word in (("get", "got"), ("put", "put")):
            times, size, digest = channel[f"{way}s"], channel[f"{way}_size"], channel[f"{way}_sha256"]
            if times:
                sum_ = f", sha256 {digest}" if digest else ", at random"
                yield f"channel {channel['at']}: {word} {size} bytes, {times} times{sum_}"
