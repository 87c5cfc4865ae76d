"""What can go wrong, by who is at fault.

Every error that libos raises on purpose is a `LibosError`; its text is one message for a person and ends
with the remedy where one is known. Operating system errors stay `OSError` inside libos and are turned into
these once, at the edge where somebody can act on them.
"""

from __future__ import annotations


class LibosError(Exception):
    """The base of all errors raised by libos on purpose."""

    exit_status = 125  # docker's: the launcher itself failed


class ManifestError(LibosError):
    """The caller's manifest or options are wrong. The text holds every error that was found, a line each."""

    exit_status = 2


class HostError(LibosError):
    """This machine does not give what is needed; the text names the cause and the remedy."""


class SupervisorError(LibosError):
    """The supervisor, its keeper or its file server ended or was used wrongly."""


class CommandError(LibosError):
    """The command could not be started in its world."""

    exit_status = 126


class CommandNotFoundError(CommandError):
    """The command is not in the world's namespace."""

    exit_status = 127
