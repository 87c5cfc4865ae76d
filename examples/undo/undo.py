"""An agent's changes, shown as a diff, half of them committed and half discarded.

    python examples/undo/undo.py

The agent works on a copy of project/ in a temporary folder, copy-on-write, and its changes are kept under a
name. What it did is looked at afterwards: its fix and its test go to the project, the rest is forgotten.
On the command line the same is `libos run --keep`, `libos diff`, `libos commit` and `libos discard`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import trio

import libos

HERE = Path(__file__).parent
NAME = "undo-example"


def manifest(project: Path) -> dict[str, object]:
    """Python, the agent's program, and the project copy-on-write."""
    return {
        "include": ["python"],
        "app": {"command": ["python3", "/agent.py"], "directory": "/work"},
        "mount": [
            {"at": "/work", "host": str(project), "mode": "copy-on-write"},
            {"at": "/agent.py", "host": str(HERE / "agent.py")},
        ],
    }


async def let_the_agent_work(project: Path) -> None:
    """Run it to its end; its changes are kept."""
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(manifest(project), keep=NAME)
        status = await app.wait()
        assert status.returncode == 0


def show(kept: libos.Changes) -> None:
    """A line a change."""
    for change in kept:
        print(f"  {change.kind}  {change.path}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="libos-undo-") as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"  # nothing of this example stays
        project = Path(folder, "project")
        shutil.copytree(HERE / "project", project)
        before = sorted(path.name for path in project.iterdir())

        trio.run(let_the_agent_work, project)
        assert sorted(path.name for path in project.iterdir()) == before
        print("the agent has ended, the project is as it was, and the agent changed:")
        kept = libos.changes(NAME)
        show(kept)
        print("its fix, as a patch:")
        print(kept.patch(["stats.py"]).decode(), end="")

        left = kept.commit(["stats.py", "test_stats.py"])
        print("committed stats.py and test_stats.py; left are:")
        show(left)
        left.discard()
        print("discarded the rest; the project has now:", *sorted(path.name for path in project.iterdir()))
        print(project.joinpath("README.txt").read_text(), end="")


if __name__ == "__main__":
    main()
