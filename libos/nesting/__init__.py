"""Worlds below worlds: what one may hold that stands below another.

    holding.py    what a running world holds now, as values
    files.py      which mounts it may hand on, pure
    addresses.py  which addresses, and the way to them through the gate of the world above
    shares.py     what is left of its limits, pure
    admission.py  all of these together: what a plan asks for beyond it
    starting.py   preparing a world below another, and what binds the two

The tree itself is `libos.branch`.
"""
