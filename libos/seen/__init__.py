"""What happened in a world, for who looks: events read from files, and the state that every view draws.

    reading.py, files.py     event lines to events; files, also while they grow
    seen.py                  `Seen`: the state, fed one event after another
    tree.py, grants.py, attempts.py, connections.py, timeline.py   its parts
    amounts.py               what was used, in units
    folding.py, habits.py    attempts in groups: what libraries look for, programs along PATH
    filtering.py             filters that lose nothing

A view is a client: it reads a file, `libos.control.following`, or `App.events`, feeds a `Seen`, and draws.
Nothing here prints: names are as the app chose them, and who prints them makes them harmless.
"""

from libos.seen.files import EventFile, open_events, read_events
from libos.seen.filtering import Filter
from libos.seen.reading import EventLines, EventsError
from libos.seen.seen import Seen

__all__ = ["EventFile", "EventLines", "EventsError", "Filter", "Seen", "open_events", "read_events"]
