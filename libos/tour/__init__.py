"""A tour that checks: stops at which a learner predicts, runs, looks, breaks and mends.

A stop is a folder of data: nothing of it is ever imported or evaluated here, and its programs run in worlds.

stop.py        what a stop is, as values
checks.py      what a check asks of a run, and how it is judged
verdict.py     all checks of an attempt together, and how few grants it took
progress.py    how far a learner has come
story.py       the texts of a stop, and how they are laid out
schema.py      the grammar of stop.toml; reading.py reads it
collection.py  the stops of a folder, in order
fitting.py     what a manifest may hold here, and what the tour puts in its place
workspace.py   the learner's folder of a stop
running.py     one program of a stop in its world
chrooted.py    the same under chroot(2), in a root that has nothing else
judging.py     an attempt at a stop, from the manifest to the verdict
verifying.py   whether a stop can be trusted
keeping.py     where progress is kept
making.py      a new stop
watching.py    noticing that a learner has changed the manifest
walking.py     one stop with a learner, by way of a console
"""

from __future__ import annotations
