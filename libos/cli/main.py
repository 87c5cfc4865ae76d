"""The entry of the `libos` program.

Rule: nothing is imported before Ctrl-C ends the process as it ends any other; Python's own answer would be a
traceback out of whatever is being imported. A command that has more to do at a Ctrl-C takes the signal
itself.
"""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process; ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from libos.cli.command_line import run

    run()
