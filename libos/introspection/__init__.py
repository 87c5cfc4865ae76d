"""What an app may see and change of its own world: the files in /mnt/ns.

    ns             the namespace as namespace(6) text
    policy         what is granted, in plain words; policy.json the same as JSON
    denials        what was refused, why, and what would grant it; denials.json the same as JSON
    beancounters   what is counted: held, most, limit, refused
    notices        what it is asked to give back, a line an event, as they come
    repossessed    what was taken from it
    ctl            commands: bind, unmount, drop, clear; it can gain nothing by them

All but ctl are there when the manifest says `introspect = true`, ctl where it says `control = true`.
"""

from libos.introspection.denials import Denials
from libos.introspection.files import Introspection

__all__ = ["Denials", "Introspection"]
