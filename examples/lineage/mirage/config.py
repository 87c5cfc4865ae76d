"""The configuration: which job there is, what it needs, and what it is linked with for which target."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mirage.devices import Block, KeyValue, Linked, register

HERE = Path(__file__).parent
LOOK = "cat /pages/page; ls -d /scratch /pages /cache 2>&- | tr '\\n' ' '"


def serve(pages: KeyValue, scratch: Block) -> Linked:
    """A job that needs pages to read and memory to write."""
    return Linked(("sh", "-c", LOOK), (pages.mount("/pages"), scratch.mount("/scratch")))


def config(target: str) -> dict[str, Any]:
    """The world for a target: "test" has the pages that are drafts."""
    pages = KeyValue(str(HERE / ("drafts" if target == "test" else "pages")))
    return register("page", serve(pages, Block("1M")))


if __name__ == "__main__":
    import libos

    raise SystemExit(libos.run(manifest=config("production")).returncode)
