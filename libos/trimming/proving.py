"""The search: which grants can be taken away, tried in few runs. Pure but for the trials that it is given.

Grants that seem to be in the way of nothing (a recorded run did not use them) are taken away all at once;
where that fails, half of them, and so on. All others are taken away one at a time. What makes no difference
stays away for the rest of the search, so that the manifest that is left has been seen to work; each grant
that is left has been seen to be needed, beside everything that was left at that time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from libos.trimming.grants import Grant


@dataclass(frozen=True)
class Outcome:
    """What a trial showed. `why` says in a few words what went wrong where it does not work."""

    works: bool
    why: str = ""
    seconds: float = 0.0


@dataclass
class Proof:
    """What was found: grants that make no difference, and for each that is needed what happens without it."""

    dropped: list[Grant] = field(default_factory=list)
    needed: dict[Grant, str] = field(default_factory=dict)
    trials: int = 0
    seconds: float = 0.0


# Tries the manifest without some grants.
Try = Callable[[Sequence[Grant]], Awaitable[Outcome]]
# Told how many trials were made, and how many more it may take.
Tell = Callable[[int, int], None]


class Search:
    """One search. `proof` is what was found until now, and holds where the search is cancelled."""

    def __init__(self, attempt: Try, tell: Tell) -> None:
        self.proof = Proof()
        self._attempt = attempt
        self._tell = tell
        self._left = 0

    async def run(self, suspects: Sequence[Grant], others: Sequence[Grant]) -> Proof:
        """Search; `suspects` are tried as a group first."""
        self._left = len(others) + bool(suspects)
        if suspects:
            await self._group(list(suspects))
        for grant in others:
            await self._group([grant])
        return self.proof

    async def _group(self, group: list[Grant]) -> None:
        outcome = await self._without(group)
        if outcome.works:
            self.proof.dropped += group
        else:
            await self._split(group, outcome)

    async def _split(self, group: list[Grant], outcome: Outcome) -> None:
        """Find in a group what cannot be taken away; `outcome` is what happens without all of it."""
        if len(group) == 1:
            self.proof.needed[group[0]] = outcome.why
            return
        half = len(group) // 2
        first, second = group[:half], group[half:]
        self._left += 2
        before = len(self.proof.dropped)
        await self._group(first)
        if len(self.proof.dropped) == before + len(first):
            self._left -= 1  # all of it is known already: without the first half, this was just tried
            await self._split(second, outcome)
        else:
            await self._group(second)

    async def _without(self, group: Sequence[Grant]) -> Outcome:
        self._tell(self.proof.trials, self._left)
        outcome = await self._attempt([*self.proof.dropped, *group])
        self.proof.trials += 1
        self.proof.seconds += outcome.seconds
        self._left -= 1
        self._tell(self.proof.trials, self._left)
        return outcome
