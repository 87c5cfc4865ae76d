"""A world in the browser: the page of `libos.page`, live.

access.py    who is answered: pure
board.py     what each part of the page shows now, and since which version
feed.py      one browser's stream of changes
site.py      the routes
serving.py   the listener and the ASGI server
source.py    where events come from: an event file, a world's control socket
"""

from libos.view.viewing import viewing

__all__ = ["viewing"]
