"""What a program could touch, counted: outside, under bubblewrap, in a world (docs/explanation/surface.md).

probe.py      the counting itself; runs inside what is counted, standard library only
toolbox.py    a Python for worlds that hold none
measuring.py  starts the probe in each place and makes a Survey of what it says
survey.py     the numbers of one place
endpoints.py  what is counted from the plan: addresses; `libos.syscalls.counting` counts its system calls
axes.py, plot.py         two numbers of a survey, and the picture of several
"""

from __future__ import annotations
