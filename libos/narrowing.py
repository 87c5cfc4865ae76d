"""What can be taken from a grant while it is held. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from libos.errors import ManifestError
from libos.manifest.values import pattern
from libos.namespace import Hide, Layer, Mode, Mount, Only


@dataclass(frozen=True)
class Narrowing:
    """What is taken from a grant: writing, names that match a pattern, all names that match none."""

    read_only: bool = False
    hide: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @staticmethod
    def asked(read_only: bool, hide: Iterable[str], only: Iterable[str]) -> Narrowing:
        """From the arguments of `Grant.narrow`. Raises ManifestError for what is no pattern."""
        try:
            return Narrowing(read_only, tuple(map(pattern, hide)), tuple(map(pattern, only)))
        except ValueError as wrong:
            raise ManifestError(str(wrong)) from None

    def over(self, mount: Mount) -> Mount:
        """The mount, narrower."""
        layers: list[Layer] = list(mount.layers)
        if self.hide:
            layers.append(Hide(self.hide))
        if self.only:
            layers.append(Only(self.only))
        return replace(mount, mode=Mode.READ_ONLY if self.read_only else mount.mode, layers=tuple(layers))

    def fields(self) -> dict[str, object]:
        """For the event."""
        said = {"read_only": self.read_only, "hide": list(self.hide), "only": list(self.only)}
        return {key: value for key, value in said.items() if value}
