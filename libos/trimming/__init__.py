"""Making a manifest shorter: which of its grants a run uses, and which it cannot do without.

grants.py    the grants of a manifest, and the manifest without some of them
using.py     which grants a recorded run has used, from its events
proving.py   the search: which grants can be taken away, in few runs
trials.py    one run on a copy: does it still work?
copying.py   the manifest whose runs change nothing
editing.py   the manifest's file without some grants, comments kept
telling.py   what was found, for people and as JSON
"""

from __future__ import annotations
