"""What a manifest asks of the network, as addresses, and what in it cannot work together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, at_origin

if TYPE_CHECKING:
    from libos.net.address import Address


def addresses(manifest: Manifest) -> tuple[Address, ...]:
    """The address of each dial grant, in order."""
    if not manifest.dials:
        return ()
    from libos.net.address import parse

    return tuple(parse(dial.to) for dial in manifest.dials)


def network_problems(manifest: Manifest) -> Iterator[Problem]:
    """A problem for each published port whose connections would come back to it by a dial grant."""
    if not manifest.listens or not manifest.dials:
        return
    from libos.net.publish import Publication, conflict

    for listen in manifest.listens:
        publication = Publication(listen.port, listen.host, listen.outside)
        for address in addresses(manifest):
            message = conflict(publication, address)
            if message is not None:
                yield at_origin(listen.origin or listen.name, message)
