"""What can go wrong with kept changes."""

from __future__ import annotations

from libos.errors import LibosError


class ChangesError(LibosError):
    """Kept changes are absent, in use, or cannot be read or written; nothing was done halfway."""


class ConflictError(ChangesError):
    """The host's files changed since the app saw them. Nothing was committed."""

    exit_status = 1


class NothingMatchesError(ChangesError):
    """No change matches the patterns."""

    exit_status = 1
