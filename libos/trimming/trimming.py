"""One trimming: the recorded run, the search where it is asked for, and the run that shows that the rest
works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libos.errors import LibosError
from libos.manifest import Manifest
from libos.namespace.layers import Ask
from libos.supervisor import Supervisor
from libos.trimming.grants import Grant, without
from libos.trimming.proving import Outcome, Search
from libos.trimming.telling import Finding
from libos.trimming.trials import Trials, bound
from libos.trimming.using import Used, unused
from libos.unwrap import unwrapped

# Told of each run before it is made: how many were made, how many more it may take, seconds of one.
Tell = Callable[[int, int, float], None]


class TrimError(LibosError):
    """The app does not work, so that nothing can be found out about what it needs."""


@dataclass(frozen=True)
class Asked:
    """What is asked for: the manifest, its grants that can be taken away, and how a run is judged. `seconds`
    is the bound of each run, None for one that is drawn from the first."""

    manifest: Manifest
    grants: Sequence[Grant]
    prove: bool
    check: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Trimmed:
    """What was found of each grant; `manifest` is the shorter one, which was run and works."""

    findings: Sequence[Finding]
    manifest: Manifest
    runs: int
    seconds: float

    @property
    def gone(self) -> list[Grant]:
        """The grants that it can do without."""
        return [each.grant for each in self.findings if each.goes]


def refuse_questions(manifest: Manifest) -> None:
    """Raise TrimError where something of a manifest asks at its first use: nobody answers here."""
    asking = [mount.at for mount in manifest.mounts if any(isinstance(layer, Ask) for layer in mount.layers)]
    asking += [dial.to for dial in manifest.dials if dial.ask]
    if asking:
        raise TrimError(f"{asking[0]} asks before it is used, and nobody answers here: remove its ask")


class Trimming:
    """One trimming; `tell` is called before each run."""

    def __init__(self, asked: Asked, tell: Tell) -> None:
        self._asked = asked
        self._tell = tell
        self._runs = 0
        self._spent = 0.0

    async def run(self) -> Trimmed:
        """Find out. Raises TrimError where the app does not work with everything, LibosError, OSError."""
        asked = self._asked
        refuse_questions(asked.manifest)
        async with unwrapped(), Supervisor(spare=False) as supervisor:
            trials = Trials(supervisor, asked.manifest, asked.check, asked.seconds)
            self._tell(0, 1 + asked.prove + len(asked.grants) * asked.prove, 0.0)
            used = await self._recorded(trials)
            if asked.prove:
                findings = await self._proven(trials, used)
            else:
                findings = [_judged(grant, used) for grant in asked.grants]
            gone = [each.grant for each in findings if each.goes]
            if gone:
                await self._must_work(trials, gone)
        return Trimmed(findings, without(asked.manifest, gone), self._runs, self._spent)

    async def _recorded(self, trials: Trials) -> Used:
        used = Used()
        outcome = self._counted(await trials.record(used.note))
        if not outcome.works:
            raise TrimError(f"with all its grants the app does not work on a copy: {outcome.why}")
        if used.untold:
            raise TrimError("the app uses more paths than are recorded: what it needs cannot be told")
        return used

    async def _proven(self, trials: Trials, used: Used) -> list[Finding]:
        asked = self._asked
        first = self._counted(await trials.attempt(()))  # not recorded: as quick as those that follow
        if not first.works:
            raise TrimError(f"the app works only now and then: {first.why}")
        trials.seconds = asked.seconds or bound(first.seconds)
        never = unused(used, asked.grants)
        # What a listen is for comes from outside: taking it away shows nothing.
        others = [each for each in asked.grants if each not in never and each.kind != "listen"]

        async def attempt(gone: Sequence[Grant]) -> Outcome:
            return self._counted(await trials.attempt(gone))

        search = Search(attempt, lambda made, left: self._tell(self._runs, left, _each(search, first)))
        proof = await search.run(never, others)
        dropped = set(proof.dropped)
        return [
            Finding(each, used.of(each), "dropped")
            if each in dropped
            else Finding(each, used.of(each), "needed", proof.needed[each])
            if each in proof.needed
            else Finding(each, used.of(each), "kept")
            for each in asked.grants
        ]

    async def _must_work(self, trials: Trials, gone: Sequence[Grant]) -> None:
        last = self._counted(await trials.attempt(gone))
        if not last.works:
            remedy = "" if self._asked.prove else "; --prove finds out which of them it needs after all"
            raise TrimError(f"without what it did not use the app does not work: {last.why}{remedy}")

    def _counted(self, outcome: Outcome) -> Outcome:
        self._runs += 1
        self._spent += outcome.seconds
        return outcome


def _each(search: Search, first: Outcome) -> float:
    """Seconds that a run takes on average."""
    proof = search.proof
    return proof.seconds / proof.trials if proof.trials else first.seconds


def _judged(grant: Grant, used: Used) -> Finding:
    uses = used.of(grant)
    return Finding(grant, uses, "unused" if uses is not None and not uses else "kept")
