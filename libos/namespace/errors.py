"""What a namespace operation can be refused for: one class an error, each text one sentence."""

from __future__ import annotations

from libos.errors import ManifestError


class NamespaceError(ManifestError):
    """An operation cannot be done; nothing of it was."""


class GrammarError(NamespaceError):
    """A line is no operation: an unknown word, a flag, a count of arguments, a quote."""


class VariableError(NamespaceError):
    """A line names a variable that is not set."""


class OrderError(NamespaceError):
    """-a with -b, or one of them for a file. bind(1)."""


class InconsistentMountError(NamespaceError):
    """A file over a directory, or a directory over a file. "inconsistent mount" in Plan 9's port/chan.c."""


class CreationError(NamespaceError):
    """-c for what nothing can be created in: a union, or what is read-only where it stands."""


class AbsentError(NamespaceError):
    """A name leads to nothing when its turn comes."""


class NotMountedError(NamespaceError):
    """Nothing is mounted at a place that is to be unmounted. unmount in bind(2)."""


class NotInUnionError(NamespaceError):
    """What is to be unmounted is not among what is mounted at a place. unmount in bind(2)."""


class PlaceError(NamespaceError):
    """Nothing can be mounted at this place, or bound from it: init makes it, or it is the root."""


class StillBoundError(NamespaceError):
    """What is taken away is bound elsewhere too, and no text could say what is left."""


class IncludeError(NamespaceError):
    """A file that `.` names cannot be read, or the files include each other without end."""
