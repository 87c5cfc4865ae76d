"""One bundling: a run that is recorded, the copy of what it used, and a run that shows that this is enough.

Rules:
- The app runs as `libos trim` runs it: on copies, with an empty standard input.
- The folder appears whole, by rename, and only when the app works in it. Of what fails nothing is left.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from libos.bundling import root
from libos.bundling.closure import Closure, bundled
from libos.bundling.errors import BundleError
from libos.bundling.text import ROOT, TAR, text
from libos.manifest import Manifest, load
from libos.namespace import HostSource
from libos.supervisor import Supervisor
from libos.trimming.trials import Trials
from libos.trimming.trimming import refuse_questions
from libos.unwrap import unwrapped


@dataclass(frozen=True)
class Asked:
    """What is asked for: the manifest and its text, where the bundle goes, and how a run is judged. `seconds`
    is the bound of each run."""

    manifest: Manifest
    text: str
    folder: Path
    tar: bool = False
    check: str | None = None
    seconds: float | None = None


async def bundle(asked: Asked, tell: Callable[[str], None]) -> root.Copied:
    """Make a bundle; gives what its root holds. `tell` gets what is done now.

    Raises BundleError where the app does not work or cannot be bundled, LibosError, OSError.
    """
    refuse_questions(asked.manifest)
    asked.folder.parent.mkdir(parents=True, exist_ok=True)
    async with unwrapped(), Supervisor(spare=False) as supervisor:
        tell("recording what it uses")
        closure = await _recorded(asked, supervisor)
        made = Path(tempfile.mkdtemp(dir=asked.folder.parent, prefix=f".{asked.folder.name}."))
        try:
            tell("copying")
            copied = _fill(asked, closure, made)
            tell("running it in the bundle")
            await _must_work(asked, supervisor, made / "app.toml")
            if asked.tar:
                tell("packing")
                root.pack(made / ROOT, made / TAR)
                _remove(made / ROOT)
                (made / "app.toml").write_text(_text(asked, closure, tar=True))
            os.chmod(made, 0o777 & ~_umask())
            os.rename(made, asked.folder)
        except BaseException:
            _remove(made)
            raise
    return copied


async def _recorded(asked: Asked, supervisor: Supervisor) -> Closure:
    closure = Closure()
    outcome = await Trials(supervisor, asked.manifest, asked.check, asked.seconds).record(closure.note)
    if not outcome.works:
        raise BundleError(f"the app does not work on a copy: {outcome.why}")
    if closure.untold:
        raise BundleError("the app uses more paths than are recorded: what it needs cannot be told")
    return closure


def _fill(asked: Asked, closure: Closure, folder: Path) -> root.Copied:
    copied = root.Copied()
    (folder / ROOT).mkdir()
    for mount in bundled(asked.manifest):
        assert isinstance(mount.source, HostSource)
        if mount.at in closure.used:
            root.copy(mount.source.path, mount.at, closure.used[mount.at], folder / ROOT, copied)
    (folder / "app.toml").write_text(_text(asked, closure, tar=False))
    return copied


def _text(asked: Asked, closure: Closure, *, tar: bool) -> str:
    manifest, app = asked.manifest, asked.manifest.app
    place, name = TAR if tar else ROOT, os.path.basename(manifest.source)
    return text(
        asked.text,
        os.path.dirname(os.path.abspath(manifest.source)),
        app.command or (),
        bundled(manifest),
        set(closure.used),
        tar=tar,
        head=f"Made by `libos bundle` of {name}: {place} holds what one run of it used.",
    )


async def _must_work(asked: Asked, supervisor: Supervisor, path: Path) -> None:
    manifest = load(path)
    last = await Trials(supervisor, manifest, asked.check, asked.seconds).attempt(())
    if not last.works:
        raise BundleError(f"with what it used alone the app does not work: {last.why}")


def _remove(folder: Path) -> None:
    """Remove a tree of ours, also directories that nobody may write."""
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    shutil.rmtree(folder)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
