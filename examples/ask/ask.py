"""Each file waits until a policy, or you, said that it may be opened.

    python examples/ask/ask.py           # a policy answers
    python examples/ask/ask.py --by-hand # you do, here

The program is an agent that looks through a folder. It is told nothing: a file that is refused is not there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import trio

import libos

PROGRAM = """
for file in /home/letters/* /home/passwords.txt /home/plan.md; do
    cat "$file"
done
echo "seen by the program in the end:"
ls -R /home
"""
FILES = {
    "letters/to-anna.txt": "Dear Anna, the boat is ready.\n",
    "letters/to-the-bank.txt": "Dear bank, my number is 4711.\n",
    "passwords.txt": "correct horse battery staple\n",
    "plan.md": "1. Read the letters. 2. Answer them.\n",
}


async def by_policy(asked: libos.Asked) -> str:
    """What a rule of the house says, told as it is said."""
    name = asked.path.rpartition("/")[2]
    answer = "no" if name in ("passwords.txt", "to-the-bank.txt") else "once"
    print(f"  [{asked.operation} {asked.path}: {answer}]", flush=True)
    return answer


async def by_hand(asked: libos.Asked) -> str:
    """What the person at the terminal says; the supervisor goes on meanwhile."""
    text = f"  [{asked.operation} {asked.path}? once, always or no: "
    while (answer := await trio.to_thread.run_sync(input, text)) not in ("once", "always", "no"):
        pass
    return answer


async def run(folder: str, on_ask: libos.OnAsk) -> int:
    """Run the program in a world that asks."""
    manifest = {
        "include": ["base"],
        "app": {"command": ["sh", "-c", PROGRAM]},
        "mount": [{"at": "/home", "host": folder, "ask": {"timeout": "10min"}}],
    }
    async with libos.Supervisor(on_ask=on_ask) as supervisor:
        app = await supervisor.start(manifest)
        return (await app.wait()).returncode


def main() -> int:
    """Make the folder and run."""
    with tempfile.TemporaryDirectory() as name:
        for path, text in FILES.items():
            file = Path(name, path)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return trio.run(run, name, by_hand if "--by-hand" in sys.argv[1:] else by_policy)


if __name__ == "__main__":
    sys.exit(main())
