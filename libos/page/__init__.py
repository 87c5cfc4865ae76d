"""The page of a run: one HTML file that needs nothing else.

    words.py     names, times and sizes as a person reads them
    branches.py  the drawn tree: which names are shown, and how
    rows.py      what else is shown: tiles, tables, the time line
    drawing.py   the templates, filled in
    document.py  the whole page, and its Content-Security-Policy

Rules: everything is drawn from a `libos.seen.Seen`; nothing here knows where the events come from. Every name
passes `words.shown`, and the templates escape everything besides.
"""
