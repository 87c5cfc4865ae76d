"""Where the cgroup of a world below others is made, by values."""

from __future__ import annotations

from collections.abc import Sequence

from libos.limits.holding import Held, below
from libos.limits.model import Cgroup, Controller, Place


def held(name: str, controllers: Sequence[Controller], version: int = 1) -> Held:
    return Held({each: f"/{each}/{name}" for each in controllers}, dict.fromkeys(controllers, version))


def parents(cgroup: Cgroup) -> dict[Controller, str]:
    return {controller: place.parent for controller, place in cgroup.places}


ASKED = Cgroup((("memory", Place(1, "/memory")), ("cpu", Place(1, "/cpu"))), ())


def test_alone_it_stands_where_it_was_decided() -> None:
    assert below(ASKED, []) == ASKED


def test_below_others_it_stands_in_the_nearest_that_has_the_controller() -> None:
    near, far = held("near", ["memory"]), held("far", ["memory", "cpu"])
    assert parents(below(ASKED, [near, far])) == {"memory": "/memory/near", "cpu": "/cpu/far"}


def test_in_version_two_it_stands_beside() -> None:
    asked = Cgroup((("memory", Place(2, "/here")),), ())
    assert below(asked, [held("near", ["memory"], 2)]) == asked
