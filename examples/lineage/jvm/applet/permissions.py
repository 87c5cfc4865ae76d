"""Permission objects, checked by the policy of the world that they are in.

A permission names a file and what is done with it. `check` returns or raises AccessControlError, as
java.security.AccessController.checkPermission did. It asks by doing the least of it: the policy is held
outside of this program, and there is no other way to know what it says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_FLAGS = {"read": os.O_RDONLY, "write": os.O_WRONLY, "create": os.O_WRONLY | os.O_CREAT | os.O_EXCL}


class AccessControlError(PermissionError):
    """The policy does not grant this permission to this code."""


@dataclass(frozen=True)
class FilePermission:
    """A file, and an action: "read", "write" or "create"."""

    path: str
    action: str

    def check(self) -> None:
        """Raises AccessControlError where the policy refuses it, any other OSError where it cannot be
        done."""
        try:
            os.close(os.open(self.path, _FLAGS[self.action], 0o600))
        except PermissionError as error:
            raise AccessControlError(error.errno, f"access denied ({self})", self.path) from None

    def __str__(self) -> str:
        return f'FilePermission "{self.path}", "{self.action}"'
