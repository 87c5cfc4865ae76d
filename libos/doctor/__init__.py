"""What this machine gives, found out by doing each step that a world needs.

steps.py     the steps, in a child process of the standard library alone
__main__.py  that child's entry
facts.py     what the machine says about itself: sysctls, containers, devices
causes.py    why a step failed and what mends it, as a pure table
examine.py   all together: findings
"""
