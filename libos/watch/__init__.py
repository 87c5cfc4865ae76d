"""`libos watch`: a running world, or an event file, in the terminal.

    items.py, rows.py        lists that fold, filtered without losing anything
    holding.py, trying.py    what a world holds, and what was tried in it, as items
    details.py, advice.py    all that is known of one of them, and what would grant it
    keys.py, commands.py     the keys, and the command line that each stands for
    sources.py               events of a running world or of a file, into a `libos.seen.Seen`
    listing.py, prompts.py, screen.py   what is drawn, by Textual

A client of the control socket or of a file, and no more: whatever a key does is a `libos` command that is
shown and then run. All but the last three files and the sources are pure. Textual is an extra and is
imported by nothing else.
"""
