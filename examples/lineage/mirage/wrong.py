"""A configuration with a mistake: a job that needs pages is linked with memory. mypy refuses it."""

from mirage.config import serve
from mirage.devices import Block

WRONG = serve(Block("1M"), Block("1M"))  # type: ignore[arg-type]  # the mistake is what this file is for
