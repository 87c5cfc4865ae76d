"""What `libos why` answers, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libos.seen.attempts import Attempt
from libos.seen.grants import GrantSeen
from libos.why.remedies import Remedy, quoted


@dataclass(frozen=True)
class Verdict:
    """Whether it is granted, the paragraph that says why, where the rule stands, and what would change it.
    `hidden` is what a manifest leaves out on purpose."""

    granted: bool
    text: str
    origin: str = ""
    remedy: Remedy | None = None
    hidden: bool = False


def origin(grant: GrantSeen) -> str:
    """Who asks for a grant."""
    return grant.origin or "libos"


def often(attempt: Attempt) -> str:
    """How often something was tried."""
    return "once" if attempt.count == 1 else f"{attempt.count} times"


def listed(words: Iterable[str]) -> str:
    """A list of texts, in TOML."""
    return f"[{', '.join(map(quoted, words))}]"
