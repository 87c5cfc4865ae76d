"""What a plan asks for beyond what a running world holds. Pure but for what the values say.

Rules: nothing is weakened to fit. What is not the same or less is named, all of it at once, and nothing
starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from libos.branch import Branch
from libos.errors import ManifestError
from libos.manifest.model import Limits
from libos.nesting.addresses import beyond_dials
from libos.nesting.files import matched
from libos.nesting.holding import Held, Holding, wanted_of
from libos.nesting.shares import beyond_limits
from libos.plan import Plan
from libos.plan.vetting import both_ways
from libos.syscalls.resolving import resolve
from libos.syscalls.wanted import Wanted


def admit(name: str, plan: Plan, above: Holding, branch: Branch) -> list[tuple[Held, Held]]:
    """The mounts of a plan that need one of the world above, each with that one. `branch` is the new world's,
    which has joined already or not. Raises ManifestError with all that it asks for beyond."""
    pairs, problems = matched(wanted_of(plan), above)
    problems += beyond_dials(plan.dials, above)
    if branch.above is None:
        problems += beyond_limits(plan.asked or Limits(), above.branch)
    problems += _beyond_walls(plan, above.plan, above.name)
    problems += _outward(plan)
    problems += _unchecked(plan, above)
    if problems:
        told = "\n  ".join(problems)
        raise ManifestError(f'"{name}" would hold more than "{above.name}":\n  {told}')
    return pairs


def _beyond_walls(plan: Plan, above: Plan, name: str) -> Iterator[str]:
    if plan.root and not above.root:
        yield f'user = "root", and "{name}" is none'
    if plan.ambient and not above.ambient:
        yield f'it has names from its start, and "{name}" gives them up: ambient = false'
    yield from _beyond_syscalls(plan.syscalls, above.syscalls, name)
    if above.labelling is not None and plan.labelling != above.labelling:
        yield f'it has other [labels] or runs at another level than "{name}": say the same'
    if above.policy is not None and plan.policy != above.policy:
        yield f'it has other domains and rules than "{name}": say the same'
    lacking = {each.feature for each in above.limits.missing}
    for each in plan.limits.missing:
        if each.feature not in lacking:
            yield f'{each.feature} would be missing, and is held in "{name}"'


def _beyond_syscalls(wanted: Wanted, above: Wanted, name: str) -> Iterator[str]:
    if wanted == above:
        return
    if wanted.log == "pass" and above.log != "pass":
        yield 'log = "pass" lets every system call through'
    held = {rule.call: rule.checks for rule in resolve(above).allowed}
    more = [
        rule.call
        for rule in resolve(wanted).allowed
        if rule.call not in held or not set(held[rule.call]) <= set(rule.checks)
    ]
    if more and above.log != "pass":
        some = ", ".join(sorted(more)[:5]) + (" …" if len(more) > 5 else "")
        yield f'system calls that "{name}" may not make: {some}'


def _unchecked(plan: Plan, above: Holding) -> Iterator[str]:
    """What could be executed past the check of a world above that has one."""
    if not above.plan.vets:
        return
    if not plan.vets:
        yield f'it executes what it writes, and "{above.name}" only what passed a check: mount one with exec'
    shown = [(each.mount, each.path) for each in wanted_of(plan) if each.path is not None]
    writes = [(each.mount, each.path) for each in above.mounts if each.path is not None]
    yield from (str(problem) for problem in both_ways(writes, shown))


def _outward(plan: Plan) -> Iterator[str]:
    """What leads outside by a way that no world hands on."""
    for each in plan.listens:
        if each.is_published:
            yield f"{each.published} is published outside: publish it by the world above, or nowhere"
    for secret in plan.secrets:
        yield f"the secret {secret.name}: a value that goes by a grant stays with its world"
    if plan.keep is not None:
        yield f'its changes would be kept outside, as "{plan.keep}"'
    if plan.network.capture is not None:
        yield f"what it carries would be written outside, to {plan.network.capture}"
