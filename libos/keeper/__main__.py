"""The keeper's entry: `python -I -S libos/keeper/__main__.py OUTSIDE_FD INSIDE_FD [LOCKS_FD] [--sub-ids]`.

Isolated mode keeps the caller's environment, working directory and site-packages out of the process that
holds the namespaces; so the package's own folder is named here.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from libos.keeper.outside import main

main(*(int(word) for word in sys.argv[1:] if word.isdigit()), sub_ids="--sub-ids" in sys.argv)
