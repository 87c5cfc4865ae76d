"""The table of a manifest that says how the world's network is made."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from libos.manifest import values
from libos.manifest.schema_base import Table, checked, unwritten


class NetworkTable(Table):
    """How the app's network is made and behaves. Any of these but routed = false makes it a routed one."""

    routed: bool = Field(
        default_factory=unwritten,
        description="Give the gate a namespace of its own, joined by a link: ranges can then be dialed at "
        "any time. Without it libos decides.",
    )
    rate: Annotated[int | str, checked(values.rate)] = Field(
        default_factory=unwritten, description='What the link carries each way: "8Mbit", or bytes: "1M".'
    )
    delay: Annotated[int | float | str, checked(values.duration)] = Field(
        default_factory=unwritten,
        description='How long a packet is under way, each way: "40ms"; a round trip takes twice as long.',
    )
    jitter: Annotated[int | float | str, checked(values.duration)] = Field(
        default_factory=unwritten, description="By how much the delay varies, up and down."
    )
    loss: Annotated[int | float | str, checked(values.loss)] = Field(
        default_factory=unwritten,
        description='The share of packets that is lost, each way: "1%". Needs netem in the host\'s kernel.',
    )
    capture: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten,
        description="Write what the link carries to this file of the host, as pcapng.",
    )
    capture_limit: Annotated[int | str, checked(values.size)] = Field(
        default_factory=unwritten, description='The most that is written to it: "1G" unless said.'
    )
