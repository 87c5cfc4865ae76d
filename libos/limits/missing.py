"""What a manifest asks for and this host lacks: an error before anything starts, unless it was allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from libos.errors import HostError
from libos.limits.model import Missing


def refuse(missing: Iterable[Missing], allowed: Collection[str]) -> None:
    """Raise HostError that names each lack which `allowed` does not, with its remedy. Of two the last line is
    the remedy of the first, so that a person reads it last."""
    lacking = [each for each in missing if each.feature not in allowed]
    if lacking:
        told = "; ".join(f"{each.feature} cannot be held: {each.reason}" for each in lacking)
        raise HostError(f"{told}\nremedy: {lacking[0].remedy}")
