"""What an app may use up: what a manifest asks for, lowered to what this machine has.

    deciding.decide(limits, allowed, cgroups)  -> Decision: cgroup, rlimits, lines for people, what is missing
    finding.find()                             -> Cgroups: which controllers this process can use, and where
    holding.hold(cgroup, name)                 -> Held: the cgroup of one world, its counters, its removal
    missing.refuse(decision.missing, allowed)  what is asked for and cannot be held is an error

Deciding is pure. A cgroup holds a whole world; a resource limit holds each process alone, but for the number
of processes, which the kernel counts in the app's own user namespace.
"""
