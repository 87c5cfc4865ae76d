"""Containers as a service: Cloud Foundry Warden's verbs, one JSON object a line, over a unix socket.

    create list info spawn link stream run net_in net_out copy_in copy_out stop destroy ping echo

A container is a world whose app only waits; what is spawned in it are further programs of that world. Source:
Warden's README ("Interface") and its protocol's messages; those are Protocol Buffers of JSON, these are
lines of the control socket (`libos.control.wire`), with "request" for the verb.
"""
